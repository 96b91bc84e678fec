# SPDX-License-Identifier: Apache-2.0
"""Engines, cells and their cache: real processes, real tasks, interrupted and resumed."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from liquid_spike_control.bench.closed_loop import running
from liquid_spike_control.bench.closed_loop.benchmark import Benchmark
from liquid_spike_control.bench.closed_loop.engines import Processes, attempt
from liquid_spike_control.bench.closed_loop.plan import changed, plan_named
from liquid_spike_control.bench.closed_loop.record import Cache, Record
from liquid_spike_control.bench.closed_loop.versions import VERSIONS
from liquid_spike_control.errors import LiquidSpikeError


def engine_outcomes(work, jobs, slots=2):
    engine = Processes(work, slots)
    for job in jobs:
        engine.submit(job)
    outcomes = dict(engine.next() for _ in jobs)
    engine.close()
    return outcomes


def test_processes_do_jobs_and_say_what_went_wrong():
    outcomes = engine_outcomes(math.sqrt, (4.0, -1.0))
    assert outcomes[4.0] == 2.0 and "ValueError" in outcomes[-1.0].reason


def test_a_process_that_dies_takes_only_its_job_with_it():
    assert "status 3" in engine_outcomes(os._exit, (3,))[3].reason


def test_closing_ends_what_still_runs():
    engine = Processes(time.sleep, 1)
    engine.submit(600)
    (process, _) = next(iter(engine._running.values()))
    engine.close()
    assert not process.is_alive()


def test_no_job_at_all_is_refused():
    with pytest.raises(LiquidSpikeError, match="--jobs 0"):
        Processes(math.sqrt, 0)


class Here:
    """An engine in this process, one job after the other."""

    slots = 1

    def submit(self, job):
        self.job = job

    def next(self):
        return self.job, attempt(running.run, self.job)

    def close(self):
        self.job = None


def small(**choice):
    return changed(plan_named("smoke"), ("expert", "model_based"), ("swing-up",), **choice)


def test_a_plan_is_run_once_and_grows(tmp_path):
    benchmark = Benchmark(small(perturbations=("clean",), episodes=2), Cache(tmp_path))
    told = []
    progress = benchmark.run(Here(), lambda progress: told.append(progress.done))
    assert progress.failed == {} and told == [0, 1, 2] and benchmark.open_cells() == []
    more = Benchmark(small(perturbations=("clean", "drop30"), episodes=2), Cache(tmp_path))
    assert [more.missing(cell) for cell in more.cells] == [("drop30",), ("drop30",)]
    other = Benchmark(small(perturbations=("clean",), episodes=3), Cache(tmp_path))
    assert len(other.open_cells()) == 2
    record = benchmark.record(benchmark.cells[0])
    # Whoever computes it, and however often: the same figures
    again = running.run(running.Job(benchmark.cells[0], None, None, ("clean",))).record
    assert again.evaluations["clean"].reward == record.evaluations["clean"].reward
    assert again.key == record.key and all(record.evaluations["clean"].success)


def test_a_cache_of_another_version_is_not_looked_at(tmp_path, monkeypatch):
    cell = small(perturbations=("clean",), episodes=1).cells()[0]
    Cache(tmp_path).store(cell.name, running.run(running.Job(cell, None, None, ("clean",))).record)
    assert Benchmark(small(perturbations=("clean",), episodes=1), Cache(tmp_path)).record(cell) is not None
    monkeypatch.setitem(VERSIONS, "laws", VERSIONS["laws"] + 1)
    assert Benchmark(small(perturbations=("clean",), episodes=1), Cache(tmp_path)).record(cell) is None


@pytest.mark.parametrize("task", ["pencil-hard", "pencil-hard?truth", "pencil?disturbed"])
def test_a_robot_with_cameras_is_a_course_too(task):
    cell = changed(plan_named("smoke"), ("expert",), (task,), ("clean",), None, 1).cells()[0]
    assert cell.task == task
    evaluation = running.run(running.Job(cell, None, None, ("clean",))).record.evaluations["clean"]
    assert (
        evaluation.success == (True,)
        and evaluation.reward == pytest.approx((20,), abs=0.05)
        and evaluation.steps > 1000
    )


def command(cache):
    """One cell at a time, each a second or more."""
    chosen = "--tasks swing-up,swing-up-full --controllers expert,model_based --perturbations clean --episodes 20"
    return subprocess.Popen(
        [sys.executable, "-m", "liquid_spike_control", "bench", "closed-loop", *chosen.split(), "--jobs", "1"]
        + ["--cache", str(cache)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def wait_for_first_cell(cache: Path, process):
    deadline = time.monotonic() + 60
    while not list(cache.glob("*.json")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


def group_is_gone(group):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


SLEEPER = """
import time
from liquid_spike_control.bench.closed_loop.engines import Processes
if __name__ == "__main__":
    engine = Processes(time.sleep, 1)
    engine.submit(600.0)
    print("begun", flush=True)
    engine.next()
"""


def test_no_job_outlives_a_run_that_is_killed(tmp_path):
    script = tmp_path / "sleeper.py"
    script.write_text(SLEEPER)
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout.readline() == "begun\n"
    process.kill()
    process.wait(10)
    assert group_is_gone(process.pid)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_goes_on_where_it_was(tmp_path, how):
    process = command(tmp_path)
    wait_for_first_cell(tmp_path, process)
    os.kill(process.pid, how)
    out, error = process.communicate(timeout=60)
    assert process.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL)
    if how == signal.SIGINT:
        assert "the same command resumes the run" in out and "Traceback" not in out + error
    assert group_is_gone(process.pid)
    kept = {path.name: path.read_bytes() for path in tmp_path.glob("*.json")}
    assert 1 <= len(kept) < 4
    for text in kept.values():
        Record.from_json(text.decode())
    process = command(tmp_path)
    out, error = process.communicate(timeout=100)
    assert process.returncode == 0, error
    assert f"4 cells, {len(kept)} of them in the cache" in " ".join(out.split())
    whole = {path.name: path.read_bytes() for path in tmp_path.glob("*.json")}
    assert len(whole) == 4 and kept.items() <= whole.items()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_network_is_trained_once_for_both_of_its_runtimes(tmp_path):
    plan = changed(plan_named("smoke"), ("spiking_float", "spiking_loihi"), ("swing-up-full",), ("clean",), None, 2, 1)
    benchmark = Benchmark(plan, Cache(tmp_path))
    assert benchmark.run(Processes(running.run, 2)).failed == {}
    records = [benchmark.record(cell) for cell in benchmark.cells]
    assert len({record.training.model for record in records}) == 1 and len(list(tmp_path.glob("*.model"))) == 1
    assert all(record.evaluations["clean"].work["synaptic_operations"] > 0 for record in records)
