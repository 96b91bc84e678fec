# SPDX-License-Identifier: Apache-2.0
"""Look at any MJCF scene through an event camera, and record what it sees.

    python examples/mjcf_event_camera.py [SCENE.xml [CAMERA [OUT.csv]]]

Without a scene, a red ball swings on a string. `liquid-spike events info OUT.csv --size 128 96` reads the recording.
"""

import sys
from pathlib import Path

import mujoco
import numpy as np

import liquid_spike_control as lsc
from liquid_spike_control.sim.renderer import Renderer

PENDULUM = """
<mujoco>
  <option timestep="0.001"/>
  <worldbody>
    <light pos="0 -1 2"/>
    <camera name="eye" pos="0 -1.2 0.6" xyaxes="1 0 0 0 0 1"/>
    <body pos="0 0 1">
      <joint name="swing" axis="0 1 0"/>
      <geom type="sphere" pos="0 0 -0.5" size="0.06" rgba="0.9 0.2 0.1 1"/>
    </body>
  </worldbody>
  <keyframe><key qpos="0.8"/></keyframe>
</mujoco>
"""


def main(scene: str | None = None, camera: str = "eye", out: str = "events.csv", duration_s: float = 1.0) -> int:
    """Record ``duration_s`` seconds from the scene's first keyframe, if it has one; returns how many events."""
    model = mujoco.MjModel.from_xml_path(scene) if scene else mujoco.MjModel.from_xml_string(PENDULUM)
    data = mujoco.MjData(model)
    if model.nkey:
        mujoco.mj_resetDataKeyframe(model, data, 0)
    width, height = 128, 96
    eye = lsc.EventCamera(lsc.EventCameraModel(width, height, contrast_threshold=0.2))
    pieces = []
    with Renderer(model, camera, width, height) as renderer:
        mujoco.mj_forward(model, data)
        eye.reset(renderer.render(data), stamp_ns=0, seed=0)
        for _ in range(round(duration_s / model.opt.timestep)):
            mujoco.mj_step(model, data)
            pieces.append(eye.step(renderer.render(data), stamp_ns=round(data.time * 1e9)))
    lsc.write_events(out, pieces, width, height)
    events = np.concatenate(pieces)
    print(f"{Path(out)}: {len(events)} events in {duration_s:g} s, {np.mean(events['p']):.0%} of them brighter")
    return len(events)


if __name__ == "__main__":
    main(*sys.argv[1:4])
