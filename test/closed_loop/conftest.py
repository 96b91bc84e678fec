# SPDX-License-Identifier: Apache-2.0
"""A robot of somebody else, in a folder of its own."""

from pathlib import Path

import pytest

from liquid_spike_control.bench.closed_loop import procedure as procedure
from liquid_spike_control.resources import PACKAGE
from liquid_spike_control.tasks import scale

DESCRIPTION = """# A comment
name: stubborn
period_s: 0.02
max_age_s: 0.1
scene: scene.xml
task: task.py:Stubborn
readings:
  - {name: cart_position, unit: m, scale: 0.5, mujoco: {joint: cart_slide, field: position}}
  - {name: pole_angle, unit: rad, scale: 0.3, mujoco: {joint: pole_hinge, field: position}}
commands:
  - {name: force, unit: N, least: -10.0, most: 10.0, rate: 4000.0, safe: 0.0, mujoco: {actuator: cart_force}}
"""
TASK = '''# SPDX-License-Identifier: Apache-2.0
"""A docstring."""

from liquid_spike_control.tasks.mujoco_task import MujocoTask


class Stubborn(MujocoTask):
    """A pole that is held upright for a second, more or less."""

    duration_s = 1.0

    def begin(self, rng):
        """Nearly upright."""
        self.data.qpos[1] = rng.uniform(-0.05, 0.05)

    def judge(self, passed_s):
        """Reward the pole for standing."""
        self.failed = not abs(self.data.qpos[1]) < 0.5
        self.reward = passed_s

    def law(self, state):
        """Push towards where it falls."""
        angle, rate = state[1], state[3]
        return [-(-10 * angle) * 5 + 8 * rate]
'''


@pytest.fixture
def robot_folder(tmp_path):
    """A folder with description, scene and task; there are no anchors yet."""
    folder = tmp_path / "stubborn"
    folder.mkdir()
    (folder / "robot.yaml").write_text(DESCRIPTION)
    (folder / "task.py").write_text(TASK)
    shipped = Path(__import__(PACKAGE).__file__).parent / "robots" / "swing_up" / "scene.xml"
    (folder / "scene.xml").write_text(shipped.read_text())
    yield folder
    procedure._MADE.clear()
    scale.anchors_of.cache_clear()
