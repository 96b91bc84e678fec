# SPDX-License-Identifier: Apache-2.0
"""What counts in a key: versions, options and the content of files; not the names and places of modules."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from liquid_spike_control.bench.closed_loop import course, provenance, running
from liquid_spike_control.bench.closed_loop.benchmark import Benchmark
from liquid_spike_control.bench.closed_loop.plan import Cell, Plan, Share, plan_named
from liquid_spike_control.bench.closed_loop.record import Cache, Record, key_of
from liquid_spike_control.bench.closed_loop.versions import VERSIONS
from liquid_spike_control.errors import TaskError
from liquid_spike_control.robots.catalogue import TASKS, robot_named, task_named
from liquid_spike_control.robots.swing_up.task import SwingUp
from liquid_spike_control.tasks.of_robot import task_of

PUBLISHED = Path(__file__).parents[2] / "docs" / "benchmark" / "results"
TASK = '''"""A plant of another package."""
from pathlib import Path
from liquid_spike_control.robots.swing_up.task import SwingUp
from .law import gain
{more}
class Sluggish(SwingUp):
    """A cart that is pushed less."""
    def __init__(self, robot):
        super().__init__(robot)
        self.name = "sluggish"
    @property
    def data_files(self):
        return (Path(__file__).with_name("plant.xml"),)
    def advance(self, command, duration_s):
        super().advance(gain(command), duration_s)
'''
LAW = '"""A law."""\n\ndef gain(x):\n    """Tell the gain."""\n    return 0.9 * x  # weaker\n'


def cell(controller="gru", task="swing-up", seed=1, rounds=None):
    return Cell(controller, task, seed if controller == "gru" else 0, ("clean",), 1, rounds)


def key(controller="gru", **choice):
    course.course_named.cache_clear()
    return key_of(running.provenance(cell(controller, **choice)))


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A package of somebody else with a task in it; calling it loads the package anew and gives what makes its task."""
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
        made = importlib.import_module(f"{name}.sluggish").Sluggish

        def new_task(name="sluggish"):
            return made(robot_named("swing-up")) if name == "sluggish" else task_named(name)

        monkeypatch.setattr(course, "TASKS", (*TASKS, "sluggish"))
        monkeypatch.setattr(course, "task_named", new_task)
        course.course_named.cache_clear()
        return new_task

    yield package, load
    course.course_named.cache_clear()


def test_every_published_record_is_found():
    """By the keys that this very code computes: nothing that decides a figure has changed unnoticed."""
    cells = plan_named("published").cells()
    found = [Cache(PUBLISHED).find(c.name, running.provenance(c)) for c in cells]
    assert [c.name for c, record in zip(cells, found, strict=True) if record is None] == []
    assert len(cells) == len(list(PUBLISHED.iterdir())) == 230


def test_a_task_that_moves_keeps_its_key(monkeypatch):
    before = key()
    monkeypatch.setattr(SwingUp, "__module__", "liquid_spike_control.robots.swing_up.task")
    assert key() == before


def test_a_scene_that_moves_keeps_its_key_and_one_that_changes_does_not(tmp_path):
    robot = robot_named("swing-up")
    text, moved = robot.file(robot.scene).read_text(), tmp_path / "moved.xml"

    def identity(scene):
        return provenance.identity(task_of(msgspec.structs.replace(robot, scene=str(scene))))

    before = identity(robot.scene)
    moved.write_text("<!-- tidied -->\n" + text.replace(">\n", ">\n\n   "))
    assert identity(moved) == before
    mass = 'mass="0.2"'
    assert mass in text
    moved.write_text(text.replace(mass, 'mass="0.21"'))
    assert identity(moved) != before


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
        ("pencil-hard imitation", False, False, False),
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
    course.course_named.cache_clear()
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


def test_a_changed_outside_task_does_not_show_old_results(outside, tmp_path):
    package, load = outside
    load()
    plan, cache = Plan("theirs", (Share("sluggish", ("expert",), ("clean",), range(0), 1),)), Cache(tmp_path / "cache")
    benchmark = Benchmark(plan, cache)
    (only,) = benchmark.open_cells()
    cache.store(only.name, running.run(benchmark.job(only)).record)
    assert Benchmark(plan, cache).open_cells() == []
    (package / "law.py").write_text(LAW.replace("0.9", "0.1"))
    load()
    assert Benchmark(plan, cache).open_cells() == [only]


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
    task = task_named("hover")
    assert [path.name for path in task.data_files] == ["scene.xml"]
    made = type("Plain", (), {"__module__": "liquid_spike_control.plain", "name": "plain", "version": 3})()
    assert provenance.identity(made) == {"name": "plain", "version": 3, "files": [], "code": ""}
