# SPDX-License-Identifier: Apache-2.0
"""ROS packages of messages, built from their ``.msg`` files into a folder, and the environment in which they are known.

The wheels of ROS have the generators; nothing is installed beside them.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).with_name("autopilot_messages")


def build(package: str, folder: Path) -> Path:
    """Build ``mavros_msgs`` or ``px4_msgs``; returns the prefix. Takes a minute of a core."""
    prefix, scripts = folder / "prefix", Path(sys.executable).parent
    environment = os.environ | {
        "AMENT_PREFIX_PATH": sys.prefix, "CMAKE_PREFIX_PATH": sys.prefix, "PATH": f"{scripts}:{os.environ['PATH']}"
    }  # fmt: skip
    place = ["-S", str(HERE / package), "-B", str(folder / package)]
    settings = [f"-DCMAKE_INSTALL_PREFIX={prefix}", "-DBUILD_TESTING=OFF", f"-DPython3_EXECUTABLE={sys.executable}",
                "-DCMAKE_C_FLAGS=-O0", "-DCMAKE_CXX_FLAGS=-O0"]  # fmt: skip
    for arguments in ([*place, "-G", "Ninja", *settings], ["--build", str(folder / package), "--target", "install"]):
        done = subprocess.run(
            [str(scripts / "cmake"), *arguments], env=environment, capture_output=True, text=True, timeout=400
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return prefix


def environment_of(prefix: Path) -> dict[str, str]:
    """What processes need to know the packages of a prefix."""
    (packages,) = prefix.glob("lib/python3*/site-packages")
    added = {"PYTHONPATH": packages, "LD_LIBRARY_PATH": prefix / "lib", "AMENT_PREFIX_PATH": prefix}
    return {
        name: os.pathsep.join(filter(None, (str(path), os.environ.get(name, "")))) for name, path in added.items()
    }
