# SPDX-License-Identifier: Apache-2.0
"""Off-screen frames: real rendering, and real failures in processes of their own."""

import math
import os
import subprocess
import sys
from pathlib import Path

import mujoco
import numpy as np
import pytest

from liquid_spike_control.errors import RenderingError, TaskError
from liquid_spike_control.resources import share
from liquid_spike_control.sim.renderer import Renderer

# A wall before the camera: glowing squares of known colours and places on black.
SQUARES = """
<mujoco>
  <visual><headlight ambient="0 0 0" diffuse="0 0 0" specular="0 0 0"/></visual>
  <asset>
    <material name="red" rgba="1 0 0 1" emission="1"/>
    <material name="grey" rgba=".5 .5 .5 1" emission="1"/>
  </asset>
  <worldbody>
    <camera name="eye" pos="0 -1 0" xyaxes="1 0 0 0 0 1" fovy="{fovy}"/>
    <camera name="lens" pos="0 -1 0" xyaxes="1 0 0 0 0 1"
      resolution="60 60" sensorsize="0.02 0.02" focal="0.01 0.01"/>
    <geom type="box" size="0.1 0.001 0.1" pos="0.5 0 0.25" material="red"/>
    <geom type="box" size="0.1 0.001 0.1" pos="-0.5 0 -0.5" material="grey"/>
  </worldbody>
</mujoco>
"""
FOVY = math.degrees(2 * math.atan(1))  # at a distance of 1 m the picture is 2 m high


def scene(xml=SQUARES):
    model = mujoco.MjModel.from_xml_string(xml.format(fovy=FOVY))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


def pencil(angle):
    model = mujoco.MjModel.from_xml_path(str(share("sim/pencil.xml")))
    data = mujoco.MjData(model)
    data.joint("pole_hinge").qpos = angle
    mujoco.mj_forward(model, data)
    return model, data


def frame_of(model, data, *args):
    with Renderer(model, *args) as renderer:
        return renderer.render(data)


@pytest.mark.parametrize("supersample", [(1, 1), (4, 2), (2, 4)])
@pytest.mark.parametrize("width, height", [(60, 60), (90, 60)])
def test_things_are_where_the_lens_projects_them(width, height, supersample):
    """30 pixels a metre: the red square above the middle on the right, the grey one below on the left."""
    frame = frame_of(*scene(), "eye", width, height, supersample)
    assert frame.shape == (height, width) and frame.dtype == np.float32
    rows, columns = np.nonzero(frame > 100)
    middle = width / 2
    assert (rows.min(), rows.max()) == (42, 47) and (columns.min(), columns.max()) == (
        middle - 18,
        middle - 13,
    )
    rows, columns = np.nonzero((frame > 60) & (frame < 100))
    assert abs(rows.mean() + 0.5 - 22.5) < 0.5 and abs(columns.mean() + 0.5 - (middle + 15)) < 0.5


def test_luminance_is_bt601():
    values = np.unique(np.round(frame_of(*scene(), "eye", 60, 60)))
    assert values.tolist() == pytest.approx([0, 0.299 * 255, 128], abs=1)


def test_intrinsics_are_kept():
    frame, lens = (frame_of(*scene(), name, 60, 60, (4, 2)) for name in ("eye", "lens"))
    np.testing.assert_allclose(frame, lens, atol=1)


@pytest.mark.parametrize("supersample", [(4, 4), (4, 2), (2, 4), (8, 1)])
def test_a_supersampled_picture_is_the_plain_one_smoothed(supersample):
    model, data = pencil(0.3)
    plain = frame_of(model, data, "event_camera", 64, 64)
    smooth = frame_of(model, data, "event_camera", 64, 64, supersample)
    lit = (plain > 5).mean()
    assert 0.02 < lit < 0.3  # there is a pole in the picture, and room around it
    assert np.abs(plain - smooth).mean() < 0.25 * plain.mean()
    columns = np.arange(64)
    assert abs((plain.sum(0) @ columns) / plain.sum() - (smooth.sum(0) @ columns) / smooth.sum()) < 0.25
    away = (plain == 0) & (np.roll(plain, 1, 1) == 0) & (np.roll(plain, -1, 1) == 0)
    away &= (np.roll(plain, 1, 0) == 0) & (np.roll(plain, -1, 0) == 0)
    assert smooth[away].max() < 60


def test_pole_leans_to_the_side_of_its_angle():
    centres = []
    for angle in (-0.3, 0.0, 0.3):
        frame = frame_of(*pencil(angle), "event_camera", 64, 64, (4, 2))
        top = frame[:32]
        centres.append((top.sum(0) @ np.arange(64)) / top.sum())
    assert centres[0] < centres[1] - 3 and centres[2] > centres[1] + 3 and abs(centres[1] - 31.5) < 0.5


def test_renderers_do_not_disturb_each_other():
    one, two = scene(), pencil(0.2)
    expected = frame_of(*one, "eye", 60, 60), frame_of(*two, "event_camera", 32, 32, (4, 2))
    with Renderer(one[0], "eye", 60, 60) as a:
        with Renderer(two[0], "event_camera", 32, 32, (4, 2)) as b:
            for _ in range(2):
                np.testing.assert_array_equal(a.render(one[1]), expected[0])
                np.testing.assert_array_equal(b.render(two[1]), expected[1])
        np.testing.assert_array_equal(a.render(one[1]), expected[0])


def test_rendering_leaves_physics_alone():
    trajectories = []
    for rendered in (False, True):
        model, data = pencil(0.05)
        renderer = Renderer(model, "event_camera", 16, 16) if rendered else None
        for _ in range(50):
            mujoco.mj_step(model, data)
            if renderer:
                renderer.render(data)
        trajectories.append(data.qpos.tobytes())
    assert trajectories[0] == trajectories[1]


def test_an_unknown_camera_is_refused_with_the_known_ones():
    with pytest.raises(TaskError, match="'ear' is not in the model; its cameras are: eye, lens"):
        Renderer(scene()[0], "ear", 8, 8)


@pytest.mark.parametrize("size", [(0, 8, (1, 1)), (8, 8, (1, 0))])
def test_impossible_sizes_are_refused(size):
    with pytest.raises(TaskError, match="1 or more"):
        Renderer(scene()[0], "eye", *size)


def test_a_closed_renderer_raises():
    model, data = scene()
    renderer = Renderer(model, "eye", 8, 8)
    renderer.close()
    renderer.close()
    with pytest.raises(RenderingError, match="closed"):
        renderer.render(data)


ATTEMPT = """
import sys
if "no-pyopengl" in sys.argv:
    sys.modules["OpenGL"] = None
import mujoco
from liquid_spike_control.errors import RenderingError
from liquid_spike_control.sim.renderer import Renderer
model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><camera name='eye'/></worldbody></mujoco>")
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
try:
    renderer = Renderer(model, "eye", 8, 8)
except RenderingError as e:
    print(e)
    sys.exit(7)
renderer.render(data)
"""


def attempt(*args, **environment):
    env = {k: v for k, v in os.environ.items() if k not in ("MUJOCO_GL", "PYOPENGL_PLATFORM")} | environment
    return subprocess.run(
        [sys.executable, "-c", ATTEMPT, *args], env=env, capture_output=True, text=True, timeout=60
    )


def refused(result):
    assert result.returncode == 7, result.stderr
    assert result.stdout.count("\n") == 1
    assert all(name in result.stdout for name in ("libegl1", "libgl1-mesa-dri", "libopengl0", "pyopengl"))
    assert "Exception ignored" not in result.stderr


@pytest.mark.parametrize("choice", [{}, {"MUJOCO_GL": "egl"}])
def test_leaving_a_renderer_open_at_exit_is_harmless(choice):
    result = attempt(**choice)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_no_such_egl_device():
    refused(attempt(MUJOCO_EGL_DEVICE_ID="99"))


def test_no_egl_driver(tmp_path):
    refused(attempt(__EGL_VENDOR_LIBRARY_DIRS=str(tmp_path)))


def without(library: str, folder: Path) -> dict[str, str]:
    """An environment in which a library cannot be loaded."""
    for name in (f"lib{library}.so", f"lib{library}.so.0", f"lib{library}.so.1"):
        (folder / name).write_bytes(b"")
    return {"LD_LIBRARY_PATH": os.pathsep.join([str(folder), os.environ.get("LD_LIBRARY_PATH", "")])}


def test_no_egl_library(tmp_path):
    refused(attempt(**without("EGL", tmp_path)))


def test_a_command_says_which_libraries_to_install(tmp_path):
    """Where MUJOCO_GL asks for EGL, the import of mujoco fails."""
    command = [sys.executable, "-m", "liquid_spike_control", "run", "pencil", "--in-process"]
    environment = os.environ | {"MUJOCO_GL": "egl"} | without("EGL", tmp_path)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "libopengl0" in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


def test_no_pyopengl():
    refused(attempt("no-pyopengl"))
