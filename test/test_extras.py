# SPDX-License-Identifier: Apache-2.0
"""Every command where neither ROS nor torch nor another optional package is installed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tyro
from sources import imports, modules

from liquid_spike_control import cli
from liquid_spike_control.events.codec import encode
from liquid_spike_control.extras import EXTRAS, missing_package, remedy
from liquid_spike_control.resources import shipped_model
from liquid_spike_control.types import EVENT

ROOT = Path(__file__).resolve().parents[1]
PD = str(shipped_model("arm/pd.yaml"))
PERCEPTION, CONTROLLER, SPIKING = (
    str(shipped_model(name))
    for name in ("pencil/perception.nir", "pencil/controller.safetensors", "swing_up/spiking.nir")
)
ROS = r"rclpy|rpyutils|launch|launch_ros|std_srvs|ament_index_python|\w+_msgs|\w+_interfaces"
OPTIONAL = rf"{ROS}|torch|ncps|onnx|onnxruntime|ray|faery|cryptography|imageio|imageio_ffmpeg"
NEEDS_ROS = (
    ["run"], ["run", "config/robot_cart.yaml", "--real"], ["run", "pencil", "--real"],
    ["view"], ["record", "--out", "{out}/a.mcap"], ["faults"], ["bench", "hops"],
    ["events", "play", "{events}", "--size", "8", "8"],
)  # fmt: skip
NEEDS = {
    "train perception": (["train", "perception"], "train"),
    "train controller": (["train", "controller"], "train"),
    "train policy": (["train", "policy", "swing-up", "--out", "{out}/a.safetensors"], "train"),
    "train expert": (["train", "expert", "hopper", "--out", "{out}/a.safetensors"], "train"),
    "bench snn": (["bench", "snn"], "train"),
    "bench controllers": (["bench", "controllers"], "train"),
    "bench closed-loop": (["bench", "closed-loop", "--out", "{out}/closed"], "train"),
    "bench sequence": (["bench", "sequence", "xor"], "train"),
    "controller export": (["controller", "export", CONTROLLER, "{out}/a.onnx"], "onnx"),
    "security keystore": (["security", "keystore", "{out}/keys"], "security"),
}  # fmt: skip
WORKS = {
    "robots": ["robots"],
    "completion": ["completion", "bash"],
    "new": ["new", "{out}/my_robot"],
    "run": ["run", "pencil", "--in-process", "--duration", "0.2"],
    "bench robot": [
        "bench", "robot", "pencil", "--seeds", "0:1", "--duration", "0.2", "--variants", "cfc_loihi", "--jobs", "1"],
    "bench adaptation": [
        "bench", "adaptation", PD, "--seeds", "1000:1001", "--duration", "20", "--change", "none", "--jobs", "1"],
    "bench policy": ["bench", "policy", SPIKING, "--seeds", "0:1", "--perturbations", "clean"],
    "bench energy": ["bench", "energy", "--seed", "0", "--duration", "0.2"],
    "train reservoir": ["train", "reservoir", "--neurons", "20", "--samples", "500", "--out", "{out}/a.nir"],
    "train reward": [
        "train", "reward", "lane_car", "--passed", "speed=target_speed", "--episodes", "1", "--tries", "0", "--out",
        "{out}/a.yaml"],
    "bench reservoir": ["bench", "reservoir", "--models", "esn", "--seeds", "1:2", "--samples", "500"],
    "controller inspect": ["controller", "inspect", CONTROLLER],
    "neuromorphic inspect": ["neuromorphic", "inspect", PERCEPTION],
    "neuromorphic compile": [
        "neuromorphic", "compile", PERCEPTION, "--out", "{out}/net.safetensors"],
    "neuromorphic run": ["neuromorphic", "run", PERCEPTION, "--steps", "20"],
    "neuromorphic compare": ["neuromorphic", "compare", PERCEPTION, "--steps", "20"],
    "neuromorphic energy": ["neuromorphic", "energy", PERCEPTION, "--steps", "20"],
    "events info": ["events", "info", "{events}", "--size", "8", "8"],
    "events hot-pixels": ["events", "hot-pixels", "{events}", "--size", "8", "8", "--rate", "1e6"],
    "events convert": ["events", "convert", "{events}", "{out}/b.mcap", "--size", "8", "8"],
    "security policy": ["security", "policy"],
}  # fmt: skip
#: Commands without a line above, and the reason.
OTHERS = {
    "doctor": "a test of its own",
    "replay": "needs a bag; test/records replays",
    "bench lava": "needs Lava's own environment",
    "bench agreement": "half a minute; a test of its own",
    "bench scale": "minutes",
    "neuromorphic fuzz": "needs another simulator's environment",
}


def blocking(folder: Path, commands: list[list[str]], blocked: str = OPTIONAL) -> list[subprocess.CompletedProcess]:
    """The commands one after the other in a process without the blocked packages."""
    events = np.zeros(50, EVENT)
    events["t"] = 1000 * np.arange(50)
    header = b"% evt 3.0\n% format EVT3;height=8;width=8\n% end\n"
    (folder / "a.raw").write_bytes(header + encode(events, "evt3", 0))
    names = {"out": str(folder), "events": str(folder / "a.raw")}
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    ran = subprocess.run(
        [sys.executable, str(ROOT / "test/without_ros.py"), blocked, "-"], capture_output=True, text=True, timeout=110,
        cwd=ROOT, env=os.environ | {"PYTHONPATH": path},
        input=json.dumps([[word.format(**names) for word in arguments] for arguments in commands]),
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    done = [subprocess.CompletedProcess(*one) for one in json.loads(ran.stdout)]
    assert len(done) == len(commands)
    return done


def refused(done, *says: str) -> None:
    """Ended with status 2 and one line that says something."""
    assert done.returncode == 2, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("liquid-spike: ") and all(word in line for word in says), line


def test_commands_that_need_ros_report_it_in_a_line(tmp_path):
    for done in blocking(tmp_path, list(NEEDS_ROS)):
        refused(done, "needs ROS 2", "pip install 'liquid_spike_control[ros]'")


def test_commands_that_need_an_extra_report_it_in_a_line(tmp_path):
    commands, extras = zip(*NEEDS.values(), strict=True)
    for done, extra in zip(blocking(tmp_path, list(commands)), extras, strict=True):
        refused(done, extra)


def test_the_rest_works_without_any_extra(tmp_path):
    for done in blocking(tmp_path, list(WORKS.values())):
        assert done.returncode in (0, 1) and "Traceback" not in done.stderr, (done.args, done.stderr[-2000:])
        assert done.stdout, done.args


@pytest.mark.slow
def test_the_doctor_works_without_ros_and_names_the_remedy(tmp_path):
    (done,) = blocking(tmp_path, [["doctor", "--json", "{out}/found.json"]])
    assert done.returncode == 1 and not done.stderr
    found = {finding["name"]: finding for finding in json.loads((tmp_path / "found.json").read_text())}
    assert [name for name, finding in found.items() if finding["status"] == "error"] == ["ros"]
    assert "rclpy" in found["ros"]["text"] and "[ros]" in found["ros"]["remedy"]


def test_messages_that_are_missing_beside_ros_are_named(tmp_path):
    pytest.importorskip("rclpy")
    (done,) = blocking(tmp_path, [["run"]], blocked="event_camera_msgs")
    refused(done, "event_camera_msgs", "make install")


def test_a_ros_for_another_python_is_named(tmp_path):
    broken = tmp_path / "other/rclpy"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("from rclpy import _rclpy_pybind11\n")
    path = os.pathsep.join([str(tmp_path / "other"), str(ROOT)])
    command = [sys.executable, "-m", "liquid_spike_control", "run"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}
    )
    refused(done, "rclpy cannot be imported", "_rclpy_pybind11", "Python that ROS was built for")


def test_every_command_is_tried_here():
    def names(app: tyro.extras.SubcommandApp, before: str = "") -> set[str]:
        found = set()
        for name, command in app._subcommands.items():
            inner = command.target
            is_group = isinstance(inner, tyro.extras.SubcommandApp)
            found |= names(inner, f"{before}{name} ") if is_group else {f"{before}{name}"}
        return found

    ros = {" ".join(a[:2]) if a[0] in ("bench", "events") else a[0] for a in NEEDS_ROS}
    assert names(cli.app) == ros | set(NEEDS) | set(WORKS) | set(OTHERS)


@pytest.mark.parametrize(
    ("package", "says"),
    [("torch", "[train]"), ("sensor_msgs.msg", "[ros]"), ("event_camera_msgs", "apt"), ("numpy", None)],
)
def test_remedies(package, says):
    found = remedy(package)
    assert found is None if says is None else says in found


def test_other_errors_of_imports_are_not_explained_away():
    assert missing_package(ModuleNotFoundError("No module named 'numpy'", name="numpy")) is None
    assert missing_package(ImportError("cannot import name 'x' from 'torch'", name="torch")) is None
    assert missing_package(ImportError("half a library")) is None


def test_every_extra_installs_what_some_module_imports():
    block = re.search(r"extras_require=\{(.*?)\n    \}", (ROOT / "setup.py").read_text(), re.DOTALL)[1]
    extras = set(re.findall(r'^        "([a-z-]+)":', block, re.MULTILINE))
    assert extras - {"ros-kilted", "test", "docs", "dev"} == set(EXTRAS.values())
    imported = {name.partition(".")[0] for module, path in modules() for name in imports(module, path)}
    # Gymnasium's tasks import imageio; ROS's wheels rpyutils
    assert set(EXTRAS) - imported == {"imageio", "rpyutils"}
