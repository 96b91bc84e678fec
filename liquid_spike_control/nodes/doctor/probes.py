# SPDX-License-Identifier: Apache-2.0
"""Tries that may crash or take long, each in a process of its own: ``python -m liquid_spike_control.nodes.doctor.probes
picture`` (or ``kernels``, or a part of them: ``network``, ``edges``) prints one line, or fails.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

_BALL = """
<mujoco>
  <visual><headlight ambient="0.4 0.4 0.4"/></visual>
  <worldbody>
    <geom type="sphere" size="0.5"/>
    <camera name="camera" pos="0 -3 0" euler="90 0 0" fovy="30"/>
  </worldbody>
</mujoco>
"""


def picture() -> str:
    """Render 8x8 pixels of a ball; return the GL and the time of a frame as text.

    Raises:
        RenderingError: no GL, or a picture without a ball.
    """
    import mujoco
    import numpy as np

    from ...errors import RenderingError
    from ...sim.renderer import Renderer

    model = mujoco.MjModel.from_xml_string(_BALL)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    with Renderer(model, "camera", 8, 8) as renderer:
        from OpenGL import GL  # only now has the renderer chosen EGL, whatever MUJOCO_GL says

        frame = renderer.render(data)
        began = time.perf_counter()
        frame = renderer.render(data)
        took_ms = (time.perf_counter() - began) * 1e3
        name = GL.glGetString(GL.GL_RENDERER).decode()
    if not frame[3:5, 3:5].min() > frame[0, 0] + 20 or not np.isfinite(frame).all():
        raise RenderingError("the ball is not in the picture")
    return f"{name}, 8x8 in {took_ms:.1f} ms"


def _network() -> None:
    """Take the shipped perception through a tick on the emulator."""
    import numpy as np

    from ...assembly import new_backend, read_robot_perception
    from ...perception import Perception
    from ...robots.catalogue import robot_named
    from ...types import EVENT

    model = read_robot_perception(robot_named("pencil"))
    perception = Perception(model)
    events = np.zeros(1, EVENT)
    events["t"] = perception.step_ns
    with new_backend(model) as backend:
        perception.reset(0)
        perception.step(events, 5 * perception.step_ns, backend)
        backend.stats()


def _edges() -> None:
    """Take the shipped controller, the event camera's model and the codecs of events and spikes through a tick."""
    import numpy as np

    from ...assembly import read_robot_controller
    from ...events.camera import EventCamera, EventCameraModel
    from ...events.codec import DECODED, ENCODINGS, Decoder, decode_spikes, encode, encode_spikes
    from ...robots.catalogue import robot_named
    from ...sim.renderer import average
    from ...types import SpikeTrain

    read_robot_controller(robot_named("pencil")).warm()
    camera = EventCamera(EventCameraModel(8, 8))
    frame = np.empty((8, 8), np.float32)
    average(np.full((16, 16), 50, np.uint32), 2, 2, frame)
    camera.reset(frame, 0, seed=0)
    events = camera.step(2 * frame, 1_000_000)
    decoder = Decoder()
    for encoding in DECODED:
        data = encode(events, encoding, 0) if encoding in ENCODINGS else b""
        decoder.decode(data, encoding, 0, 8, 8)
        decoder.reset()
    decode_spikes(encode_spikes(SpikeTrain(np.zeros(2, np.int64), np.empty(0, np.int32))), 1, 1)


def kernels(*parts: Callable[[], None]) -> str:
    """Run what the nodes compile, and return ``<kernels> <compiled> <seconds> <folder>``."""
    import gc

    from numba.core.registry import CPUDispatcher

    began = time.perf_counter()
    for part in parts:
        part()
    took = time.perf_counter() - began
    found = [kernel.stats for kernel in gc.get_objects() if isinstance(kernel, CPUDispatcher) and kernel.signatures]
    compiled = sum(sum(stats.cache_misses.values()) for stats in found)
    folder = next(stats.cache_path for stats in found if stats.cache_path)
    return f"{len(found)} {compiled} {took:.2f} {folder}"


def main() -> None:
    """One try; status 1 and the reason where it fails."""
    try:
        parts = {"kernels": (_network, _edges), "network": (_network,), "edges": (_edges,)}
        print(picture() if sys.argv[1] == "picture" else kernels(*parts[sys.argv[1]]))
    except Exception as failure:  # any exception of a library is the finding
        print(" ".join(str(failure).split()) or type(failure).__name__)
        sys.exit(1)


if __name__ == "__main__":
    main()
