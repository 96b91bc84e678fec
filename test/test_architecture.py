# SPDX-License-Identifier: Apache-2.0
"""What may import what, and who may know which robot; see docs/architecture.md."""

import ast
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from sources import PACKAGE, ROOT, imports, is_ros, modules, run

#: Where torch and ncps may be imported.
TRAINS = (
    "training/", "spiking/network.py", "spiking/layer_bptt.py", "spiking/alif_bptt.py", "spiking/layer_steps.py",
    "spiking/layered_network.py", "spiking/policy.py", "liquid/cells.py", "liquid/state_space.py", "liquid/policies.py",
    "liquid/ncps_import.py", "robots/pencil/perception.py",
    "robots/pencil_hard/perception.py",
    *(f"bench/sequence/{name}.py" for name in ("fitting", "gru_d", "models", "running")),
    "bench/reservoir/cfc.py",
)  # fmt: skip
#: Times torch as a peer, or trains: imports it inside a function, and can itself be imported without.
PEERS = tuple(f"liquid_spike_control.bench.{name}" for name in ("snn_step", "controllers", "closed_loop.procedure"))
#: Imports that go up the table of rooms, to be taken away: module -> what it imports. The list must only get shorter.
UPWARD: dict[str, set[str]] = {
    "sim.world": {"tasks.mujoco_task", "tasks.variation"},
    "tasks.scale": {"robots.catalogue"},
    "tasks.sensed": {"loop"},
}
#: Modules outside robots/ whose code, docstrings and comments apart, still names a robot or a part of one; likewise.
#: nodes/, bench/ and what trains are being made general one after the other.
NAMES_A_ROBOT: set[str] = {
    "bench.closed_loop.procedure", "bench.closed_loop.model_based", "bench.closed_loop.plan",
    "bench.closed_loop.verify",
    "nodes.doctor.probes", "nodes.faults.camera", "nodes.faults.commands", "nodes.faults.files",
    "nodes.faults.models", "nodes.faults.soak", "nodes.faults.stops", "nodes.graph", "nodes.hops.command",
    "options.benchmarks", "options.graph",
    "options.training", "records.replay", "records.replay_figure", "robots.catalogue", "training.gym_expert",
    "training.receptive_fields",
}  # fmt: skip
NOUNS = re.compile(
    r"(?<![a-z])(cart|pole|pencil|rotor|quadrotor|hopper|cheetah|pendulum|swing|hover|rail)s?(?![a-z])", re.IGNORECASE
)


def import_with_blocked(blocked: str, names: list[str], cwd: Path) -> str:
    """Import modules in a process where names that match the pattern cannot be; gives the failures."""
    program = f"""
import importlib, re, sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if re.fullmatch({blocked!r}, name.partition(".")[0]):
            raise ModuleNotFoundError(f"{{name}} is blocked", name=name)
sys.meta_path.insert(0, Block())
for name in {names!r}:
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(f"{{name}}: {{error}}")
"""
    return run(sys.executable, "-c", program, cwd=cwd, timeout=110)


def trains(path: Path) -> bool:
    """Whether a module may import torch and ncps."""
    return path.relative_to(PACKAGE).as_posix().startswith(TRAINS)


def test_only_nodes_import_ros(tmp_path):
    core = {name: path for name, path in modules() if path.parts[1] != "nodes"}
    assert {name: sorted(filter(is_ros, imports(name, path))) for name, path in core.items()} == {
        name: [] for name in core
    }
    blocked = r"rclpy|launch|launch_ros|std_srvs|ament_index_python|\w+_msgs|\w+_interfaces"
    if not find_spec("torch"):
        core = {name: path for name, path in core.items() if not trains(path)}
    assert import_with_blocked(blocked, list(core), tmp_path) == ""


def test_running_needs_no_torch(tmp_path):
    runs = {name: path for name, path in modules() if not trains(path)}
    assert {name: sorted({i.partition(".")[0] for i in imports(name, path)} & {"torch", "ncps"})
            for name, path in runs.items() if name not in PEERS} == {
                name: [] for name in runs if name not in PEERS}  # fmt: skip
    assert import_with_blocked("torch|ncps", list(runs), tmp_path) == ""


@pytest.mark.slow
def test_a_robot_s_nodes_need_no_simulator_and_no_renderer(tmp_path):
    """On a robot neither MuJoCo nor GL need to be installed."""
    nodes = [f"{PACKAGE}.nodes.{name}" for name in ("perception", "neuromorphic", "controller", "gate", "recorder")]
    assert import_with_blocked("mujoco|OpenGL|glfw|gymnasium|matplotlib|PIL", nodes, tmp_path) == ""


def rooms() -> list[list[str]]:
    """Rows of the table of docs/architecture.md, from the first room that the data enters to the last."""
    text = (ROOT / "docs/architecture.md").read_text()
    table = text.partition("## Rooms")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
    return [[room.removesuffix(".py").rstrip("/") for room in re.findall(r"`([^`]+)`", row)] for row in rows]


def test_rooms_import_only_from_rooms_above_them():
    order = {room.replace("/", "."): row for row, names in enumerate(rooms()) for room in names}
    assert list(order)[0] == "types" and list(order)[-1] == "cli"

    def row(module: str) -> int | None:
        """Of the smallest room that a module is in: robots/catalogue.py has one of its own."""
        parts = module.split(".")[1:]
        return next((order[".".join(parts[:n])] for n in (2, 1) if ".".join(parts[:n]) in order), None)

    wrong: dict[str, set[str]] = {}
    for name, path in modules():
        if name == PACKAGE:
            continue
        own = row(name)
        assert own is not None, f"{path} is in no room of docs/architecture.md"
        for imported in imports(name, path):
            if imported.partition(".")[0] == PACKAGE and (row(imported) or 0) > own:
                wrong.setdefault(short(name), set()).add(short(imported.rpartition(".")[0]))
    assert wrong == UPWARD


def short(module: str) -> str:
    """A module's name within the package."""
    return module.removeprefix(f"{PACKAGE}.")


# ---- who knows which robot ----


def nouns_in(text: str) -> list[str]:
    """Robots and their parts that a text names, also inside the names of classes."""
    return NOUNS.findall(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text))


def code_of(path: Path) -> str:
    """A module's code without its docstrings and comments."""
    tree = ast.parse((ROOT / path).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body[0] = ast.Pass()
    return ast.unparse(tree)


def test_a_robot_s_nouns_are_found():
    text = "PENCIL_LIMIT cart_force SwingUp poles swing-up PoleTable polecat cartesian overhover trail grail"
    assert nouns_in(text) == ["PENCIL", "cart", "Swing", "pole", "swing", "Pole"]


def test_the_core_knows_no_robot():
    """A robot's nouns stand in its folder; what still names one is listed, and the list gets only shorter."""
    found = set()
    for name, path in modules():
        if path.parts[1:2] == ("robots",) and len(path.parts) > 3:
            continue
        if nouns_in(code_of(path)):
            found.add(short(name))
    assert found == NAMES_A_ROBOT
