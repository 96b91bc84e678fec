# SPDX-License-Identifier: Apache-2.0
"""Installs `ros2 launch`, `ros2 lifecycle`, `ros2 param` and their like beside the ROS wheels, from source trees.

They are not on PyPI. ``python build.py SOURCES TARGET`` looks below SOURCES for the packages named here, by their
``package.xml``, builds copies of them and installs them into TARGET; ``. TARGET/setup.sh`` then puts them on the path.
Sources: launch, launch_ros, ros2cli, rosidl_runtime_py, rcl_interfaces (github.com/ros2) and osrf_pycommon
(github.com/osrf), each at the branch of the ROS distribution, such as jazzy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

HERE = Path(__file__).resolve().parent
MESSAGES = HERE.parent / "interfaces" / "event_camera_msgs"
#: Pure Python packages, and one of services that is generated.
PACKAGES = (
    "osrf_pycommon", "launch", "launch_xml", "launch_yaml", "launch_ros", "rosidl_runtime_py", "ros2cli", "ros2launch",
    "ros2lifecycle", "ros2node", "ros2param", "ros2run", "ros2service", "ros2topic", "ros2pkg",
)  # fmt: skip
GENERATED = "composition_interfaces"

SETUP = """\
# SPDX-License-Identifier: Apache-2.0
# Puts `ros2` on the path, with the packages of {environment}.
export PATH={target}/bin:{environment}/bin:$PATH
export PYTHONPATH={packages}${{PYTHONPATH:+:$PYTHONPATH}}
export AMENT_PREFIX_PATH={target}:{environment}
export LD_LIBRARY_PATH={target}/lib:{environment}/lib${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}
"""


def find_packages(sources: Path) -> dict[str, Path]:
    """Name to folder of the packages below a folder."""
    found: dict[str, Path] = {}
    for file in sorted(sources.rglob("package.xml")):
        try:
            name = ElementTree.parse(file).findtext("name")
        except ElementTree.ParseError:
            continue
        if name is not None:
            found.setdefault(name.strip(), file.parent)
    return found


def pip_install(target: Path, *arguments: str, **environment: str) -> None:
    """``pip install --prefix TARGET``; what is installed there already is replaced."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--ignore-installed"]
    subprocess.run([*command, "--prefix", str(target), *arguments], check=True, env=os.environ | environment)


def generate(package: Path, folder: Path, target: Path) -> None:
    """Build a package of messages as a wheel, as the package's own messages are."""
    copy = folder / package.name
    shutil.copytree(package, copy)
    shutil.copytree(MESSAGES / "cmake", copy / "cmake")
    project = (MESSAGES / "pyproject.toml").read_text(encoding="utf-8")
    (copy / "pyproject.toml").write_text(project.replace("event_camera_msgs", package.name), encoding="utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    pip_install(
        target, "--no-build-isolation", "--no-deps", str(copy),
        AMENT_PREFIX_PATH=sys.prefix, CMAKE_PREFIX_PATH=sys.prefix, PATH=path,
    )  # fmt: skip


def register(target: Path) -> None:
    """Make `ros2 launch` and `ros2 run` find this checkout's package, which an editable installation does not."""
    package = "liquid_spike_control"
    index = target / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True, exist_ok=True)
    (index / package).touch()
    share = target / "share" / package
    for name in ("launch", "config", "sim", "executables"):
        into = target / "lib" / package if name == "executables" else share / name
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir(parents=True)
        for file in (HERE.parent / name).iterdir():  # not the folder: ros2 launch follows no links to folders
            (into / file.name).symlink_to(file)


def main() -> int:
    """Build and install; 2 where a package is not below the sources."""
    sources, target = (Path(argument).resolve() for argument in sys.argv[1:3])
    found = find_packages(sources)
    missing = [name for name in (*PACKAGES, GENERATED) if name not in found]
    if missing:
        print(f"error: {sources}: no package.xml of {', '.join(missing)}\n{__doc__}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        copies = []
        for name in PACKAGES:
            copies.append(Path(folder) / name)
            shutil.copytree(found[name], copies[-1])
        pip_install(target, "--no-deps", "--requirement", str(HERE / "requirements.txt"))
        pip_install(target, "--no-build-isolation", "--no-deps", *map(str, copies))
        generate(found[GENERATED], Path(folder), target)
    register(target)
    packages = sysconfig.get_path("purelib", vars={"base": str(target)})
    setup = SETUP.format(target=target, packages=packages, environment=sys.prefix)
    (target / "setup.sh").write_text(setup, encoding="utf-8")
    print(f"`. {target}/setup.sh` puts ros2 on the path")
    return 0


if __name__ == "__main__":
    sys.exit(main())
