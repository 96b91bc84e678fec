# SPDX-License-Identifier: Apache-2.0
"""Frames of a MuJoCo camera, rendered off-screen through EGL on the CPU or the GPU.

An event camera needs thousands of small, smooth frames a second, so this renderer leaves out what costs time
and gives no edge (multisampling, shadows, reflections) and gets sub-pixel edges by rendering larger and
averaging boxes of ``supersample`` pixels.

On a machine without a GPU Mesa's llvmpipe draws. Its threads cost more than they give at these sizes and take
cores from other simulators, so ``LP_NUM_THREADS=0`` is set unless the environment sets it.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import weakref
from typing import Self

os.environ.setdefault("LP_NUM_THREADS", "0")

import mujoco
import numba
import numpy as np

from ..errors import RenderingError, TaskError
from ..extras import GL_REMEDY

_GL_UNSIGNED_BYTE, _GL_RGBA = 0x1401, 0x1908

_open: weakref.WeakSet[OffScreen] = weakref.WeakSet()


class OffScreen:
    """A camera of a model, drawn into a buffer that nobody sees; a context manager.

    Use it in the thread that made it: a GL context belongs to one thread at a time. Several renderers
    may live in one thread.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        camera: str | None,
        width: int,
        height: int,
        supersample: tuple[int, int] = (1, 1),
        samples: int = 0,
    ):
        """Make the GL context and upload the model's meshes and textures.

        Args:
            model: its ``vis.quality.offsamples`` and ``vis.global_.offwidth/offheight`` are set to what
                this renderer needs; physics is not touched.
            camera: name of a camera of the model; None for MuJoCo's free camera.
            width: columns of the frame [pixels].
            height: rows of the frame [pixels]. ``width / height`` is the aspect ratio of a camera that is
                given by ``fovy``; a camera with intrinsics (``sensorsize``) keeps its own.
            supersample: pixels rendered per pixel of the frame (horizontally, vertically).
            samples: of multisampling; none by default.

        Raises:
            TaskError: the model has no such camera, or a size is less than 1.
            RenderingError: there is no EGL library or device, or no PyOpenGL.
        """
        self._closed = True
        sx, sy = supersample
        if min(width, height, sx, sy) < 1:
            raise TaskError(
                f"a frame of {width}x{height} pixels, supersampled {sx}x{sy}: all must be 1 or more"
            )
        self.camera_id = -1 if camera is None else mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, camera)
        if self.camera_id < 0 and camera is not None:
            names = ", ".join(model.camera(i).name for i in range(model.ncam)) or "none"
            raise TaskError(f"camera {camera!r} is not in the model; its cameras are: {names}")

        self.width, self.height, self.supersample = width, height, (sx, sy)
        self._model = model
        model.vis.quality.offsamples = samples
        model.vis.global_.offwidth, model.vis.global_.offheight = width * sx, height * sy
        self._gl, self._context = _make_contexts(model)
        self._closed = False
        _open.add(self)
        # Handlers run last in, first out: ours must be newer than the one that ends mujoco's EGL display.
        atexit.unregister(_close_all)
        atexit.register(_close_all)

        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(model, maxgeom=1000 + 2 * model.ngeom)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self._option = mujoco.MjvOption()
        self._camera = mujoco.MjvCamera()
        if camera is None:
            mujoco.mjv_defaultFreeCamera(model, self._camera)
        else:
            self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
            self._camera.fixedcamid = self.camera_id
        self._viewport = mujoco.MjrRect(0, 0, width * sx, height * sy)

    def _draw(self, data: mujoco.MjData) -> None:
        """Draw into MuJoCo's off-screen buffer."""
        if self._closed:
            raise RenderingError("the renderer is closed; make a new one")
        self._gl.make_current()
        scene = self._scene
        mujoco.mjv_updateScene(
            self._model, data, self._option, None, self._camera, mujoco.mjtCatBit.mjCAT_ALL, scene
        )
        for eye in scene.camera:
            # A fovy camera takes its aspect from the viewport, which non-square supersampling stretches.
            if eye.frustum_width == 0:
                eye.frustum_width = 0.5 * (eye.frustum_top - eye.frustum_bottom) * self.width / self.height
        mujoco.mjr_render(self._viewport, scene, self._context)

    def upload_texture(self, texture: int) -> None:
        """Take over what ``model.tex_data`` has been given for this texture since the renderer was made."""
        self._gl.make_current()
        mujoco.mjr_uploadTexture(self._model, self._context, texture)

    def close(self) -> None:
        """Give the GL context back. Closing twice is harmless."""
        if self._closed:
            return
        self._closed = True
        _open.discard(self)
        self._gl.make_current()
        self._context.free()
        self._gl.free()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class Renderer(OffScreen):
    """Grey frames of a camera of a model; a context manager.

    Args:
        model, camera, width, height, supersample: see :class:`OffScreen`.

    Raises:
        TaskError, RenderingError: as :class:`OffScreen`.
    """

    def __init__(
        self, model: mujoco.MjModel, camera: str | None, width: int, height: int, supersample: tuple[int, int] = (1, 1)
    ) -> None:
        super().__init__(model, camera, width, height, supersample)
        from OpenGL.raw.GL.VERSION.GL_1_0 import glReadPixels

        self._read_pixels = glReadPixels
        self._rgba = np.empty((self._viewport.height, self._viewport.width), np.dtype("<u4"))
        self._pointer = ctypes.c_void_p(self._rgba.ctypes.data)

    def render(self, data: mujoco.MjData) -> np.ndarray:
        """The frame that the camera sees.

        Args:
            data: with positions computed: after ``mj_forward``, or ``mj_kinematics`` and ``mj_camlight``.

        Returns:
            float32, shape ``(height, width)``, row 0 at the top: luminance 0..255 by ITU-R BT.601
            (0.299 R + 0.587 G + 0.114 B), a grey picture's own value.

        Raises:
            RenderingError: the renderer is closed.
        """
        self._draw(data)
        # mjr_readPixels asks for three bytes a pixel, which Mesa converts one by one; four it gives as they are.
        height, width = self._rgba.shape
        self._read_pixels(0, 0, width, height, _GL_RGBA, _GL_UNSIGNED_BYTE, self._pointer)
        frame = np.empty((self.height, self.width), np.float32)
        average(self._rgba, self.supersample[0], self.supersample[1], frame)
        return frame


def _make_contexts(model: mujoco.MjModel):
    """A GL context, made current, and MuJoCo's rendering context in it."""
    try:
        from mujoco.egl import GLContext

        gl = GLContext(model.vis.global_.offwidth, model.vis.global_.offheight)
        gl.make_current()
        return gl, mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
    except (
        Exception
    ) as e:  # ImportError, AttributeError, EGLError, RuntimeError, FatalError: as PyOpenGL likes
        reason = " ".join(str(e).split()) or type(e).__name__
        raise RenderingError(f"no off-screen GL ({reason}); {GL_REMEDY}") from e


def _close_all() -> None:
    for renderer in list(_open):
        renderer.close()


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def average(rgba, sx, sy, frame):
    """Box average of the luminance of ``rgba`` into ``frame``.

    ``rgba``: uint32, rows from the bottom, red in the lowest byte. Red and blue are summed in one word, which holds 257
    pixels.
    """
    height, width = frame.shape
    scale = np.float32(1.0 / (sx * sy))
    red, green, blue = np.float32(0.299) * scale, np.float32(0.587) * scale, np.float32(0.114) * scale
    for i in range(height):
        first = (height - 1 - i) * sy
        for j in range(width):
            r, g, b = np.uint32(0), np.uint32(0), np.uint32(0)
            for k in range(first, first + sy):
                row, both = rgba[k], np.uint32(0)
                for m in range(sx * j, sx * (j + 1)):
                    both += row[m] & np.uint32(0x00FF00FF)
                    g += row[m] >> np.uint32(8) & np.uint32(0xFF)
                r += both & np.uint32(0xFFFF)
                b += both >> np.uint32(16)
            frame[i, j] = red * np.float32(r) + (green * np.float32(g) + blue * np.float32(b))
