# SPDX-License-Identifier: Apache-2.0
"""The hash of the code: it follows imports and named files, and passes over comments."""

import pytest

from liquid_spike_control.bench.closed_loop import provenance
from liquid_spike_control.bench.closed_loop.contenders import contender
from liquid_spike_control.bench.closed_loop.course import course_named

HEAD = '"""A module."""\nfrom ..control import law\nFILE = "sim/plant.xml"\n'
LAW = '"""A law."""\n\ndef gain(x):\n    """Tell the gain."""\n    return 2 * x  # doubled\n'


@pytest.fixture
def package(tmp_path, monkeypatch):
    for room, name, text in (("tasks", "task", HEAD), ("control", "law", LAW), ("nodes", "node", "x = 1\n")):
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").write_text("")
        (tmp_path / room / f"{name}.py").write_text(text)
    (tmp_path / "plant.xml").write_text("<mujoco/>")
    monkeypatch.setattr(provenance, "_ROOT", tmp_path)
    monkeypatch.setattr(provenance, "share", lambda name: tmp_path / name.rpartition("/")[2])

    def version():
        provenance.code_version.cache_clear()
        return provenance.code_version(("tasks.task",))

    return tmp_path, version


def test_comments_docstrings_and_layout_do_not_count(package):
    folder, version = package
    before = version()
    (folder / "control" / "law.py").write_text('"""Otherwise."""\ndef gain( x ):\n    # twice\n    return 2*x\n')
    assert version() == before


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("control/law.py", LAW.replace("2 * x", "3 * x")),
        ("tasks/task.py", HEAD + "DURATION_S = 1\n"),
        ("plant.xml", "<mujoco model='other'/>"),
        ("control/__init__.py", "from .law import gain\n"),
    ],
)
def test_what_decides_a_figure_counts(package, file, text):
    folder, version = package
    before = version()
    (folder / file).write_text(text)
    assert version() != before


def test_rooms_that_decide_nothing_do_not_count(package):
    folder, version = package
    (folder / "tasks" / "task.py").write_text(HEAD + "from ..nodes import node\n")
    before = version()
    (folder / "nodes" / "node.py").write_text("x = 2\n")
    assert version() == before


def test_the_real_tasks_depend_on_their_experts_and_scenes():
    trees = provenance._closure(("tasks.swing_up", "tasks.episode"))
    assert {"control.swing_up", "control.experts", "tasks.perturbed", "tasks.perturbations"} <= trees.keys()
    assert "tasks.hover" not in trees and "training.dagger" not in trees
    names = [path.name for path in provenance._named_files(trees["tasks.swing_up"])]
    assert names == ["swing_up.xml"]


def test_training_depends_on_cells_and_not_on_the_other_tasks():
    trees = provenance._closure(("training.dagger", "liquid.policies"))
    assert {"liquid.cells", "liquid.architecture", "tasks.perturbed"} <= trees.keys()
    assert not {"tasks.hover", "tasks.gymnasium_tasks", "sim.renderer"} & trees.keys()


@pytest.mark.parametrize(
    ("task", "module", "runs"),
    [("hopper", "course", "control.files"), ("pencil-hard", "pencil_hard_course", "neuromorphic.loihi")],
)
def test_spiking_networks_decide_their_own_figures_only(task, module, runs):
    own = {"control.spiking", "spiking.policy_file", "neuromorphic.reference"}
    course, network, spiking = course_named(task), contender("gru"), contender("spiking_float")
    roots = []
    for chosen in (network, spiking):
        with pytest.MonkeyPatch.context() as patch:
            where = f"liquid_spike_control.bench.closed_loop.{module}.code_version"
            patch.setattr(where, lambda m: roots.append(m) or "")
            course.episodes(chosen)
            course.training(chosen, 1, None)
    run, trained, run_spiking, trained_spiking = (provenance._closure(m).keys() for m in roots)
    assert runs in run and not own & (run | trained)
    assert own <= run_spiking and {"spiking.policy_file", "spiking.control_period"} <= trained_spiking
