# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike bench closed-loop``: what it writes, resumes from and refuses."""

import importlib.util
from dataclasses import replace

import pytest

from liquid_spike_control.bench.closed_loop.command import closed_loop_command, command_line, in_hours
from liquid_spike_control.errors import LiquidSpikeError
from liquid_spike_control.options import ClosedLoopOptions

LAWS = ClosedLoopOptions(tasks="swing-up", controllers="expert,model_based", perturbations="clean,jitter40", episodes=2)


def test_the_report_is_written_and_its_results_are_resumed_from(tmp_path, capsys):
    out = tmp_path / "report"
    assert closed_loop_command(replace(LAWS, cache=tmp_path / "cache", out=out)) == 0
    first = capsys.readouterr().out
    assert "2 cells, 0 of them in the cache" in " ".join(first.split()) and "PID / LQR" in first
    assert (out / "report.html").read_text().startswith("<!doctype html>")
    assert "(figures/swing-up-success.svg)" in (out / "report.md").read_text()
    assert (out / "figures" / "swing-up-success.svg").read_text().startswith("<svg")
    assert len(list((out / "results").iterdir())) == 2
    tables = tmp_path / "tables"
    assert closed_loop_command(replace(LAWS, cache=tmp_path / "cache", out=tables, tables_only=True)) == 0
    assert sorted(path.name for path in tables.iterdir()) == ["report.md", "results"]
    text = (tables / "report.md").read_text()
    assert "](" not in text and "| PID / LQR |" in text
    capsys.readouterr()
    more = replace(
        LAWS, controllers="expert,model_based,mlp", cache=tmp_path / "cache", out=tmp_path / "part", report_only=True
    )
    assert closed_loop_command(more) == 0
    assert "PARTIAL: 2 of the 3 cells" in (tmp_path / "part" / "report.md").read_text()
    # Another machine, with nothing but what was published
    begun = {path: path.stat().st_mtime_ns for path in (out / "results").iterdir()}
    assert closed_loop_command(replace(LAWS, cache=tmp_path / "empty", results=(out / "results",))) == 0
    assert "2 cells, 2 of them in the cache" in " ".join(capsys.readouterr().out.split())
    assert begun == {path: path.stat().st_mtime_ns for path in (out / "results").iterdir()}
    assert not (tmp_path / "empty").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"controllers": "pid"}, "known controllers: expert"),
        ({"tasks": "juggling"}, "unknown robot 'juggling'; known: "),
        ({"perturbations": "fog"}, "known perturbations: clean"),
        ({"training_seeds": "3"}, "--training-seeds 3; give first:last+1"),
        ({"training_seeds": "0:2"}, "a training seed is at least 1"),
        ({"episodes": 0}, "--episodes 0"),
        ({"jobs": 0}, "--jobs 0"),
    ],
)
def test_bad_options_are_refused_in_one_line(tmp_path, change, says):
    with pytest.raises(LiquidSpikeError) as error:
        closed_loop_command(replace(LAWS, cache=tmp_path, **change))
    assert says in str(error.value) and "\n" not in str(error.value)


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_its_engine_names_the_package_to_install(tmp_path):
    with pytest.raises(LiquidSpikeError, match=r"pip install 'liquid_spike_control\[ray\]'"):
        closed_loop_command(replace(LAWS, cache=tmp_path, engine="ray"))


def test_a_folder_that_cannot_be_is_refused_before_anything_runs(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LiquidSpikeError, match="--out"):
        closed_loop_command(replace(LAWS, cache=tmp_path / "cache", out=tmp_path / "file" / "report"))
    assert not (tmp_path / "cache").exists()


def test_the_command_line_of_a_report_has_the_choice_and_no_paths(tmp_path):
    line = command_line(replace(LAWS, cache=tmp_path, out=tmp_path, training_seeds="1:3"))
    assert line == (
        "liquid-spike bench closed-loop --plan smoke --controllers expert,model_based --tasks swing-up "
        "--perturbations clean,jitter40 --training-seeds 1:3 --episodes 2 --out REPORT"
    )


def test_times_are_printed_in_fitting_units():
    assert [in_hours(s) for s in (12, 600, 20_000)] == ["12 s", "10 min", "5.6 h"]
