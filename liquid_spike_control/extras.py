# SPDX-License-Identifier: Apache-2.0
"""Packages and libraries that only a part of this one needs: what installs each, the error without it."""

from __future__ import annotations

import traceback
from pathlib import Path

from .errors import LiquidSpikeError, RenderingError

#: Where installation is explained, for error messages.
DOCS = "docs/installation.md"
#: Import names of optional packages, and the extra that installs them.
EXTRAS = {
    "torch": "train",
    "ncps": "train",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "faery": "events",
    "imageio_ffmpeg": "video",
    "imageio": "gym",
    "ray": "ray",
    "cryptography": "security",
    "rclpy": "ros",
    "rpyutils": "ros",
    "std_srvs": "ros",
}
#: Packages that are not on PyPI, and how each is installed.
SYSTEM = {
    "event_camera_msgs": f"make install builds it, apt has it as ros-<distribution>-event-camera-msgs: {DOCS}",
    "launch": f"source a system ROS: {DOCS}",
    "launch_ros": f"source a system ROS: {DOCS}",
}
#: What off-screen rendering needs.
GL_REMEDY = "install Debian's libegl1, libgl1-mesa-dri and libopengl0, and pip's pyopengl"


class MissingPackageError(LiquidSpikeError):
    """An optional package is not installed; the message names it and the command that installs it."""


def remedy(package: str) -> str | None:
    """Return how to install an optional package; None for any other.

    Args:
        package: import name, e.g. ``torch`` or ``sensor_msgs.msg``.
    """
    top = package.partition(".")[0]
    if top in SYSTEM:
        return SYSTEM[top]
    extra = EXTRAS.get(top, "ros" if top.endswith(("_msgs", "_interfaces")) else None)
    if extra is None:
        return None
    install = f"pip install 'liquid_spike_control[{extra}]'"
    return f"{install}, or source a system ROS: {DOCS}" if extra == "ros" else install


def missing_package(error: ImportError) -> MissingPackageError | None:
    """The error for a user in place of an import's; None if no optional package is missing."""
    install = remedy(error.name or "")
    if install is None or not isinstance(error, ModuleNotFoundError):
        return None
    return MissingPackageError(f"this needs {str(error.name).partition('.')[0]}, which is not installed; {install}")


def missing_gl(error: Exception) -> RenderingError | None:
    """The error for a user in place of PyOpenGL's where a library is missing; None for any other.

    With ``MUJOCO_GL=egl``, ``import mujoco`` itself fails without the libraries.
    """
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or "OpenGL" not in Path(frames[-1].filename).parts:
        return None
    return RenderingError(f"no off-screen GL ({error}); {GL_REMEDY}; without a camera: MUJOCO_GL=disable")
