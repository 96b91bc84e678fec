# SPDX-License-Identifier: Apache-2.0
"""``pip install .`` into virtual environments of their own: beside others that use MuJoCo, on other versions."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_package import copy_of_the_tree

ROOT = Path(__file__).resolve().parents[1]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
#: Nothing of the environment that runs the tests may leak into another.
LEAKS = ("PYTHONPATH", "AMENT_PREFIX_PATH", "LD_LIBRARY_PATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE", "VIRTUAL_ENV")
#: Distributions that own files of the folder `mujoco`, with their versions; files that two of them claim.
ONE_MUJOCO = """
from importlib.metadata import distributions
owners, claims = {}, {}
for distribution in distributions():
    name = distribution.metadata["Name"].lower()
    for file in distribution.files or ():
        if file.parts[0] == "mujoco" and "__pycache__" not in file.parts and file.parts[1:2] != ("mjx",):
            owners[name] = distribution.version
            claims.setdefault(str(file), set()).add(name)
assert "mujoco" in owners and len(set(owners.values())) == 1, owners
assert not [file for file, names in claims.items() if len(names) > 1], owners
import mujoco
assert mujoco.__version__ == owners["mujoco"], (mujoco.__version__, owners)
print(owners)
"""
PEERS = {
    "mink": """
import mink, mujoco, numpy as np
model = mujoco.MjModel.from_xml_string('<mujoco><worldbody><body name="a"><joint name="j" type="hinge" axis="0 1 0"/>'
    '<geom size="0.1"/><site name="s" pos="1 0 0"/></body></worldbody></mujoco>')
configuration = mink.Configuration(model)
task = mink.PostureTask(model, cost=1.0)
task.set_target(np.array([0.3]))
for _ in range(200):
    configuration.integrate_inplace(mink.solve_ik(configuration, [task], 0.01, "daqp"), 0.01)
assert abs(configuration.q[0] - 0.3) < 0.05, configuration.q
""",
    "gymnasium[mujoco]": """
import gymnasium, numpy as np
environment = gymnasium.make("HalfCheetah-v5")
environment.reset(seed=0)
seen = environment.step(np.full(6, 0.3))[0]
assert seen.shape == (17,) and np.isfinite(seen).all()
""",
    "mujoco-mjx": """
import mujoco, numpy as np
from mujoco import mjx
model = mujoco.MjModel.from_xml_string('<mujoco><worldbody><body><joint type="slide" axis="0 0 1"/>'
    '<geom size="0.1"/></body></worldbody></mujoco>')
moved = mjx.step(mjx.put_model(model), mjx.make_data(model))
assert np.isclose(float(moved.qvel[0]), -9.81 * model.opt.timestep, rtol=1e-4), moved.qvel
""",
}  # fmt: skip


#: Events there and back through each encoding of packets. A scalar of NumPy 1 and an integer make a float.
PACKETS = """
import numpy as np
from liquid_spike_control.events.codec import Decoder, encode
from liquid_spike_control.types import EVENT
events = np.zeros(3, EVENT)
events["t"], events["x"], events["p"] = [1_000_001_000, 1_000_002_000, 1_000_005_000], [1, 2, 3], [1, 0, 1]
for encoding in ("mono", "evt3"):
    found = Decoder().decode(encode(events, encoding, 1_000_000_000), encoding, 1_000_000_000, 64, 64)
    assert (found == events).all(), encoding
word = np.array([(4 << 32) + (3 << 17) + (2 << 2) + 3], "<u8")
assert len(Decoder().decode(word.tobytes(), "libcaer", 1_000_000_000, 64, 64)) == 1
"""


class Fresh:
    """A virtual environment with this package in it, installed from a copy of the tree.

    Args:
        folder: where it is made.
        python: interpreter to make it with.
        requirements: what is installed in the same call of pip.
        package: a wheel, in the place of the tree.
    """

    def __init__(self, folder: Path, python: str, *requirements: str, package: Path | None = None) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.environment = {k: v for k, v in os.environ.items() if k not in LEAKS}
        self.call(python, "-m", "venv", folder / "venv")
        package = package or copy_of_the_tree(folder / "source")
        self.python("-m", "pip", "install", "-q", "--no-compile", package, *requirements)

    def call(self, *command: object) -> str:
        """Output of a command that must succeed, outside the source tree."""
        done = subprocess.run(
            [str(part) for part in command], cwd=self.folder, env=self.environment, text=True, timeout=1000,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-4000:]
        return done.stdout

    def python(self, *arguments: object) -> str:
        """The same of its interpreter."""
        return self.call(self.folder / "venv/bin/python", *arguments)

    def runs(self) -> None:
        """The loop in one process, a network on the emulator, and packets of events."""
        self.python("-c", PACKETS)
        liquid_spike = self.folder / "venv/bin/liquid-spike"
        assert "balanced" in self.call(liquid_spike, "run", "pencil", "--in-process", "--duration", "0.5")
        pattern = "venv/lib/python*/site-packages/liquid_spike_control/robots/pencil/perception.nir"
        model = next(self.folder.glob(pattern))
        self.call(liquid_spike, "neuromorphic", "run", model, "--steps", "20")


@pytest.mark.parametrize("peer", PEERS)
def test_beside_others_that_use_mujoco_there_is_one_and_both_work(tmp_path, peer):
    fresh = Fresh(tmp_path, sys.executable, peer, "--constraint", ROOT / "constraints.txt")
    fresh.python("-c", ONE_MUJOCO)
    fresh.python("-c", PEERS[peer])
    fresh.runs()


@pytest.mark.parametrize(
    "requirements",
    [("numpy==1.26.4",), ("mujoco==3.3.3",), ()],
    ids=lambda requirements: requirements[0] if requirements else "newest",
)
def test_the_oldest_numpy_and_mujoco_and_the_newest_of_everything(tmp_path, requirements):
    fresh = Fresh(tmp_path, sys.executable, *requirements)
    fresh.python("-c", ONE_MUJOCO)
    fresh.runs()


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_on_another_python(tmp_path, version):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    Fresh(tmp_path, python, "--constraint", ROOT / "constraints.txt").runs()


def interpreter(version: str) -> str | None:
    """A Python of that version on the PATH or of pyenv's; None if there is none."""
    managed = Path.home().glob(f".pyenv/versions/{version}.*/bin/python")
    found = [shutil.which(f"python{version}"), *sorted(map(str, managed))]
    for python in filter(None, reversed(found)):
        try:
            done = subprocess.run([python, "-c", "import sys; print(sys.version)"], capture_output=True, text=True)
        except OSError:
            continue
        if done.returncode == 0 and done.stdout.startswith(f"{version}."):
            return python
    return None
