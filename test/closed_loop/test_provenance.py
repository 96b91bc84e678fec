# SPDX-License-Identifier: Apache-2.0
"""What counts in a key: versions, options and the content of files; not the names and places of modules."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from liquid_spike_control.bench.closed_loop import procedure as procedure
from liquid_spike_control.bench.closed_loop import provenance, running
from liquid_spike_control.bench.closed_loop.benchmark import Benchmark
from liquid_spike_control.bench.closed_loop.plan import Cell, changed, plan_named
from liquid_spike_control.bench.closed_loop.record import Cache, Record, key_of
from liquid_spike_control.bench.closed_loop.versions import VERSIONS
from liquid_spike_control.bench.scale import scale_command
from liquid_spike_control.errors import RobotError, TaskError
from liquid_spike_control.options import ScaleOptions
from liquid_spike_control.robots.catalogue import task_named
from liquid_spike_control.robots.swing_up.task import SwingUp
from liquid_spike_control.tasks import scale

PUBLISHED = Path(__file__).parents[2] / "docs" / "benchmark" / "results"
TASK = '''"""A plant of another package."""
from pathlib import Path
from .law import gain
{more}
class Sluggish:
    """A cart that is pushed less."""
    name, version = "sluggish", 1
    def __init__(self):
        self.scene = Path(__file__).with_name("plant.xml")
    def push(self, force):
        return gain(force)
'''
LAW = '"""A law."""\n\ndef gain(x):\n    """Tell the gain."""\n    return 0.9 * x  # weaker\n'


def cell(controller="gru", task="swing-up", seed=1, rounds=None):
    return Cell(controller, task, seed if controller == "gru" else 0, ("clean",), 1, rounds)


def key(controller="gru", **choice):
    procedure._MADE.clear()
    return key_of(running.provenance(cell(controller, **choice)))


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A package of somebody else with a task in it; calling it loads the package anew and gives its class."""
    package = tmp_path / "their_plants"
    package.mkdir()
    for name, text in (("__init__", ""), ("sluggish", TASK.format(more="")), ("law", LAW)):
        (package / f"{name}.py").write_text(text)
    (package / "plant.xml").write_text("<mujoco/>")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def load(name="their_plants"):
        for module in [m for m in sys.modules if m.split(".")[0] == name]:
            del sys.modules[module]
        importlib.invalidate_caches()
        return importlib.import_module(f"{name}.sluggish").Sluggish

    return package, load


def test_every_published_record_is_found():
    """By the keys that this very code computes: nothing that decides a figure has changed unnoticed."""
    cells = plan_named("published").cells()
    found = [Cache(PUBLISHED).find(c.name, running.provenance(c)) for c in cells]
    assert [c.name for c, record in zip(cells, found, strict=True) if record is None] == []
    assert len(cells) == len(list(PUBLISHED.iterdir())) == 184


def test_a_task_that_moves_keeps_its_key(monkeypatch):
    before = key()
    monkeypatch.setattr(SwingUp, "__module__", "liquid_spike_control.robots.swing_up.task")
    assert key() == before


def test_a_scene_that_moves_keeps_its_key_and_one_that_changes_does_not(tmp_path, monkeypatch):
    task, moved = task_named("swing-up"), tmp_path / "scene.xml"
    before, text = provenance.identity(task), task.data_files[0].read_text()
    monkeypatch.setattr(SwingUp, "data_files", (moved,))
    moved.write_text("<!-- tidied -->\n" + text.replace(">\n", ">\n\n   "))
    assert provenance.identity(task) == before
    mass = 'mass="0.2"'
    assert mass in text
    moved.write_text(text.replace(mass, 'mass="0.21"'))
    assert provenance.identity(task) != before


def test_what_a_scene_includes_counts_by_content(tmp_path):
    scene = tmp_path / "scene.xml"
    scene.write_text('<mujoco><compiler meshdir="parts"/><include file="arm.xml"/><mesh file="hand.stl"/></mujoco>')
    (tmp_path / "arm.xml").write_text("<mujoco/>")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "hand.stl").write_bytes(b"hand")
    before = provenance.file_version(scene)
    (tmp_path / "arm.xml").write_text("<mujoco><!-- same --></mujoco>")
    assert provenance.file_version(scene) == before
    (tmp_path / "parts" / "hand.stl").write_bytes(b"fist")
    assert provenance.file_version(scene) != before
    (tmp_path / "parts" / "hand.stl").write_bytes(b"hand")
    (tmp_path / "arm.xml").write_text("<mujoco model='arm'/>")
    assert provenance.file_version(scene) != before


@pytest.mark.parametrize("file", ["<mujoco", ""])
def test_a_file_that_is_no_xml_counts_as_it_stands(tmp_path, file):
    (tmp_path / "scene.xml").write_text(file)
    assert len(provenance.file_version(tmp_path / "scene.xml")) == 16
    assert provenance.file_version(tmp_path / "none.xml") == "missing"


@pytest.mark.parametrize(
    ("component", "law", "network", "spiking"),
    [
        ("episodes", True, True, True),
        ("dagger", False, True, True),
        ("networks", False, True, False),
        ("spiking networks", False, False, True),
        ("laws", True, False, False),
    ],
)
def test_a_version_that_is_raised_gives_other_keys(monkeypatch, component, law, network, spiking):
    def keys():
        return [key_of(running.provenance(replace(cell(), controller=name, training_seed=seed)))
                for name, seed in (("model_based", 0), ("gru", 1), ("spiking_loihi", 1))]  # fmt: skip

    before = keys()
    monkeypatch.setitem(VERSIONS, component, VERSIONS[component] + 1)
    assert [a != b for a, b in zip(before, keys(), strict=True)] == [law, network, spiking]


def test_a_task_of_another_version_has_other_keys(monkeypatch):
    before = [key(name, task=task) for name in ("gru", "expert") for task in ("swing-up", "hover")]
    monkeypatch.setattr(SwingUp, "version", 2)
    after = [key(name, task=task) for name in ("gru", "expert") for task in ("swing-up", "hover")]
    procedure._MADE.clear()
    assert [a != b for a, b in zip(before, after, strict=True)] == [True, False, True, False]


def test_options_of_a_cell_decide_its_key():
    keys = [key(), key(seed=2), key(rounds=3), key(task="hover"), key("expert"), key("model_based")]
    keys += [key_of(running.provenance(Cell(name, "swing-up", 1, ("clean",), 1))) for name in
             ("cfc_mm", "cfc_mm_timeless", "spiking_float", "spiking_loihi")]  # fmt: skip
    assert len(set(keys)) == len(keys)
    assert key(rounds=20) == key()  # as many as the recipe says


@pytest.mark.parametrize(
    ("file", "text", "counts"),
    [
        ("law.py", LAW.replace("0.9", "0.8"), True),
        ("sluggish.py", TASK.format(more="SIZE = 1\n"), True),
        ("plant.xml", "<mujoco model='other'/>", True),
        ("__init__.py", "from .law import gain\n", False),
        ("law.py", '"""Otherwise."""\ndef gain( x ):\n    # less\n    return 0.9*x\n', False),
        ("unrelated.py", "x = 1\n", False),
    ],
)
def test_the_code_of_an_outside_task_counts_as_it_stands(outside, file, text, counts):
    package, load = outside
    before = provenance.identity(load()())
    (package / file).write_text(text)
    assert (provenance.identity(load()()) != before) == counts
    assert before["code"] and before["name"] == "sluggish"


def test_an_outside_task_keeps_its_key_where_it_moves(outside):
    package, load = outside
    before = provenance.identity(load()())
    package.rename(package.with_name("our_plants"))
    assert provenance.identity(load("our_plants")()) == before


def test_a_single_module_counts_with_those_beside_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "lone_task.py").write_text("import lone_law\nimport numpy\nclass Lone:\n    pass\n")
    (tmp_path / "lone_law.py").write_text("GAIN = 1\n")
    lone = importlib.import_module("lone_task").Lone
    before = provenance.source_version(lone)
    (tmp_path / "lone_law.py").write_text("GAIN = 2\n")
    assert provenance.source_version(lone) != before


def sluggish(folder):
    """The cell of a robot's folder, and a benchmark of it, as in a new process."""
    procedure._MADE.clear()
    scale.anchors_of.cache_clear()
    for module in [m for m in sys.modules if m.startswith("liquid_spike_task_")]:
        del sys.modules[module]
    plan = changed(plan_named("smoke"), ("expert",), (str(folder),), ("clean",), episodes=1)
    return plan.cells()[0], Benchmark(plan, Cache(folder.parent / "cache"))


@pytest.mark.parametrize(
    ("file", "old", "new", "counts"),
    [
        ("task.py", "-10 * angle", "-9 * angle", True),
        ("robot.yaml", "most: 10.0", "most: 9.0", True),
        ("robot.yaml", "scale: 0.5", "scale: 0.6", True),
        ("scene.xml", 'mass="0.2"', 'mass="0.3"', True),
        ("task.py", '"""A docstring."""', '"""Another."""', False),
        ("robot.yaml", "# A comment", "# Another", False),
        ("scene.xml", "<worldbody>", "<!-- a comment --><worldbody>", False),
    ],
)
def test_a_changed_outside_task_does_not_show_old_results(robot_folder, file, old, new, counts):
    assert scale_command(ScaleOptions((str(robot_folder),), "500000:500002", record=True)) == 0
    cell, benchmark = sluggish(robot_folder)
    assert (cell.task, cell.folder) == ("stubborn", str(robot_folder)) and benchmark.open_cells() == [cell]
    benchmark.cache.store(cell.name, running.run(benchmark.job(cell)).record)
    assert sluggish(robot_folder)[1].open_cells() == []
    text = (robot_folder / file).read_text()
    assert old in text
    (robot_folder / file).write_text(text.replace(old, new))
    assert bool(sluggish(robot_folder)[1].open_cells()) == counts


def test_a_robot_s_folder_may_move(robot_folder):
    scale_command(ScaleOptions((str(robot_folder),), "500000:500002", record=True))
    before = running.provenance(sluggish(robot_folder)[0])
    moved = robot_folder.rename(robot_folder.with_name("elsewhere"))
    assert running.provenance(sluggish(moved)[0]) == before


def test_without_a_scale_nothing_runs(robot_folder):
    with pytest.raises(TaskError, match=f"'stubborn' has no scale yet; run liquid-spike bench scale {robot_folder}"):
        sluggish(robot_folder)
    (robot_folder / "anchors.json").write_text("[]")
    with pytest.raises(TaskError, match="anchors.json: not a file of scales; delete it"):
        sluggish(robot_folder)


def test_a_folder_may_not_take_the_name_of_another_robot(robot_folder):
    description = robot_folder / "robot.yaml"
    description.write_text(description.read_text().replace("name: stubborn", "name: swing-up"))
    with pytest.raises(TaskError, match="'swing-up' is the name of another robot; choose another"):
        procedure.procedure_named(str(robot_folder))


def test_a_robot_that_estimates_is_compared_with_its_perception_or_the_truth(robot_folder):
    with (robot_folder / "robot.yaml").open("a") as description:
        description.write(
            "cameras:\n  - {name: eye, width: 8, height: 8, mujoco: overview, frame_s: 0.002}\nestimates:\n"
            "  - {name: angle, unit: rad, scale: 0.1, mujoco: {joint: pole_hinge, field: position}}\n"
        )
    with pytest.raises(RobotError, match="perception: not set"):
        procedure.procedure_named(str(robot_folder))
    by_truth = procedure.procedure_named(f"{robot_folder}?truth")
    assert by_truth.name == "stubborn?truth" and by_truth.identity["name"] == "stubborn?truth"
    assert by_truth._size == (3, 1)  # what a controller sees has the estimate in it
    with pytest.raises(TaskError, match=r"give \?truth or \?disturbed behind the robot, or neither"):
        procedure.procedure_named(f"{robot_folder}?fog")
    seen, true = (procedure.procedure_named(f"pencil-hard{mark}").identity["files"] for mark in ("", "?truth"))
    assert len(seen) == 2 and set(true) < set(seen)  # the perception's file decides what is seen


def test_a_task_without_source_is_refused():
    made = type("Nowhere", (), {"__module__": "nowhere", "name": "nowhere", "version": 1})
    with pytest.raises(TaskError, match="class Nowhere: its source cannot be read .*; define it in a Python file"):
        provenance.identity(made())


def test_environments_that_round_alike():
    here = provenance.environment()
    assert here["processor"] and here["instructions"] and here["libraries"]["mujoco"] != "none"
    assert provenance.same_arithmetic(here, here)
    assert provenance.same_arithmetic(here, here | {"cores": 64, "liquid_spike_control": "9"})
    for name, value in (("processor", "another"), ("instructions", ""), ("libraries", {"torch": "0"})):
        assert not provenance.same_arithmetic(here, here | {name: value})
        assert not provenance.same_arithmetic(here | {name: value}, here)
    silent = {k: v for k, v in here.items() if k != "instructions"}
    assert not provenance.same_arithmetic(silent, silent)


def test_the_environment_stands_beside_the_figures_and_not_in_the_key():
    record = running.run(running.Job(cell("expert"), None, None, ("clean",))).record
    assert record.evaluations["clean"].environment == provenance.environment()
    assert "environment" not in str(record.provenance)
    assert Record.from_json(record.to_json()) == record


def test_files_are_those_that_a_task_names():
    assert [path.name for path in task_named("hover").data_files] == ["scene.xml"]
    assert [path.name for path in task_named("hopper").data_files] == ["hopper.xml", "expert.safetensors"]
    made = type("Plain", (), {"__module__": "liquid_spike_control.plain", "name": "plain", "version": 3})()
    assert provenance.identity(made) == {"name": "plain", "version": 3, "files": [], "code": ""}
