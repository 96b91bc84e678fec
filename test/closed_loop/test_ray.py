# SPDX-License-Identifier: Apache-2.0
"""The Ray engine on a cluster of two nodes on this machine. Needs the extra [ray]."""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'liquid_spike_control[ray]'")
from ray.cluster_utils import Cluster  # noqa: E402

from liquid_spike_control.bench.closed_loop.benchmark import Benchmark  # noqa: E402
from liquid_spike_control.bench.closed_loop.engines import Ray  # noqa: E402
from liquid_spike_control.bench.closed_loop.plan import changed, plan_named  # noqa: E402
from liquid_spike_control.bench.closed_loop.record import Cache  # noqa: E402
from liquid_spike_control.bench.closed_loop.running import run  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def cluster():
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.second = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False)
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the workers have the package, not the tests
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def where(job):
    """Tells the node and its threads, after the other node has had time to begin its own job."""
    name, folder, seconds = job
    with open(Path(folder) / name, "a") as file:
        file.write("begun\n")
    time.sleep(seconds)
    return ray.get_runtime_context().get_node_id(), os.environ["NUMBA_NUM_THREADS"]


def fail(job):
    raise ValueError(f"no {job}")


def test_two_nodes_work_at_once(cluster, tmp_path):
    engine = Ray(where)
    assert engine.slots == 2
    for name in "ab":
        engine.submit((name, str(tmp_path), 3))
    nodes, threads = zip(*(engine.next()[1] for _ in range(2)), strict=True)
    assert len(set(nodes)) == 2 and set(threads) == {"1"}
    engine.close()
    assert ray.is_initialized()  # whoever made the connection ends it


def test_the_job_of_a_lost_node_is_done_elsewhere(cluster, tmp_path):
    engine = Ray(where)
    for name in "ab":
        engine.submit((name, str(tmp_path), 8))
    deadline = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    cluster.remove_node(cluster.second, allow_graceful=False)
    outcomes = dict(engine.next() for _ in range(2))
    assert len({node for node, _ in outcomes.values()}) == 1
    assert sorted(len((tmp_path / name).read_text().split()) for name in "ab") == [1, 2]
    engine.close()


def test_a_failed_job_reports_the_reason(cluster):
    engine = Ray(fail)
    engine.submit("way")
    assert "ValueError: no way" in engine.next()[1].reason
    engine.close()


def test_a_plan_gives_the_same_records_as_processes_do(cluster, tmp_path):
    plan = changed(plan_named("smoke"), ("expert", "model_based"), ("swing-up",), ("clean", "jitter40"), None, 2)
    benchmark = Benchmark(plan, Cache(tmp_path))
    progress = benchmark.run(Ray(run))
    assert progress.failed == {} and progress.done == 2 and not benchmark.open_cells()
    for cell in benchmark.cells:
        here = run(replace(benchmark.job(cell), missing=cell.perturbations)).record
        there = benchmark.record(cell)
        for name in cell.perturbations:
            assert here.evaluations[name].reward == there.evaluations[name].reward
            assert here.evaluations[name].success == there.evaluations[name].success
