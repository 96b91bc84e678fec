# SPDX-License-Identifier: Apache-2.0
"""The Dockerfile's steps, run as it has them: by Docker where its daemon answers, otherwise in a chroot of Debian."""

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from sources import ROOT, run, tree
from test_package import copy_of_the_tree
from test_workflow import steps

#: Debian's release with a Python that NumPy 1.26 has wheels for, as Ubuntu 24.04's.
RELEASE = "bookworm"
#: What the base image has under /opt/ros/jazzy by apt comes from the wheels in a chroot.
ROS = "/opt/ros/jazzy"
SETUP = f"""
export AMENT_PREFIX_PATH={ROS}
export PYTHONPATH=$(echo {ROS}/lib/python3*/site-packages)
export LD_LIBRARY_PATH={ROS}/lib:$(echo {ROS}/lib/python3*/site-packages/ros_*.libs | tr ' ' ':')
export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
"""
#: Namespaces of its own: what it mounts and starts ends with it.
ENTER = """
mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev"
exec chroot "$1" /bin/sh -c 'cd "$0" && exec "$@"' "${@:2}"
"""
KEPT = re.compile(r"PIP_|\w+_proxy$|SSL_CERT_FILE$", re.IGNORECASE)
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def instructions() -> list[tuple[str, str]]:
    """Names and arguments of the Dockerfile's instructions."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def ignored(path: Path) -> bool:
    """Whether .dockerignore keeps a file or a folder above it out of the image."""
    patterns = (ROOT / ".dockerignore").read_text().split()
    for part in (path, *path.parents):
        for pattern in patterns:
            deep = pattern.startswith("**/") and fnmatch.fnmatch(part.name, pattern[3:])
            if deep or ("/" not in str(part) and fnmatch.fnmatch(str(part), pattern)):
                return True
    return False


def test_the_image_gets_what_the_package_is_built_from():
    kept = {path for path in tree() if not ignored(path)}
    needed = ("liquid_spike_control", "launch", "config", "executables", "resource", "sim")
    assert kept >= {path for path in tree() if path.parts[0] in needed}
    assert {Path("setup.py"), Path("README.md"), Path("release/container_entry.sh")} <= kept
    assert ignored(Path("dist/x.whl")) and ignored(Path("a/__pycache__/b.pyc")) and ignored(Path(".git/config"))


class Chroot:
    """A Debian in a folder, in which the instructions of a Dockerfile are carried out.

    Args:
        folder: where it is made.
    """

    def __init__(self, folder: Path) -> None:
        self.root, self.workdir, self.entry = folder, "/", [""]
        self.environment = {k: v for k, v in os.environ.items() if KEPT.match(k)}
        self.environment |= {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        self.environment |= {"DEBIAN_FRONTEND": "noninteractive", "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        self.environment |= {"ROS_DOMAIN_ID": os.environ["ROS_DOMAIN_ID"]}
        run("debootstrap", "--variant=minbase", "--include=ca-certificates", RELEASE, folder, timeout=1200)
        shutil.copy(CERTIFICATES, folder / CERTIFICATES.relative_to("/"))  # a network may have an authority of its own

    def call(self, *command: str) -> str:
        """Output of a command that must succeed in it."""
        enter = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-ec", ENTER, "enter"]
        return run(*enter, self.root, self.workdir, *command, env=self.environment, timeout=1500)

    def carry_out(self, name: str, arguments: str, source: Path) -> None:
        """One instruction, which must not fail.

        Raises:
            ValueError: an instruction that is not understood.
        """
        if name == "RUN" and arguments.startswith("["):
            self.call(*json.loads(arguments))
        elif name == "RUN":
            self.call("/bin/sh", "-c", re.sub(r"ros-jazzy-\S+", "", arguments))  # which Debian does not have
        elif name == "WORKDIR":
            self.workdir = arguments
            (self.root / arguments.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif name == "ENV":
            self.environment |= dict(pair.split("=", 1) for pair in shlex.split(arguments))
        elif name == "ENTRYPOINT":
            self.entry = json.loads(arguments)
        elif name == "COPY":
            (mode,) = re.findall(r"^--chmod=(\d+) ", arguments) or ("",)
            origin, to = re.sub(r"^--\S+ ", "", arguments).split()
            target = self.root / (Path(self.workdir) / to).as_posix().lstrip("/")
            if origin == ".":

                def left_out(folder: str, names: list[str]) -> list[str]:
                    return [name for name in names if ignored((Path(folder) / name).relative_to(source))]

                shutil.copytree(source, target, dirs_exist_ok=True, symlinks=True, ignore=left_out)
            else:
                shutil.copy(source / origin, target)
            if mode:
                target.chmod(int(mode, 8))
        elif name not in ("FROM", "CMD"):
            raise ValueError(f"Dockerfile: {name} is not understood")

    def install_ros(self, source: Path) -> None:
        """ROS 2 and event_camera_msgs where the base image has them, by the commands of docs/installation.md."""
        shutil.copytree(source, self.root / "ros")
        extra = re.search(r'"ros": \[(.*)\],', (source / "setup.py").read_text())[1]
        extra = extra.replace('", "', '" "').replace('"', "'")
        pages = (source / "docs/installation.md").read_text()
        (messages,) = re.findall(r"^(pip install -r interfaces/.*?)^```", pages, re.MULTILINE | re.DOTALL)
        for command in (
            f"python3 -m venv {ROS} && . {ROS}/bin/activate && cd /ros && export PATH &&"
            f" pip install -q -c constraints.txt {extra} && {messages.strip()}",
            f"{ROS}/bin/pip uninstall -q -y numpy && printf '%s' \"$0\" > {ROS}/setup.bash && rm -r /ros",
        ):
            self.call("/bin/bash", "-euc", command, SETUP)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_its_steps_run_and_its_robot_too(tmp_path, ros_domain):
    source = copy_of_the_tree(tmp_path / "source")
    (_, docker_run) = (command for command, _ in steps("docker"))
    arguments = re.search(r"--rm liquid_spike_control (.*)", docker_run)[1].split()
    if shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True, timeout=60).returncode == 0:
        run("docker", "build", "--tag", "liquid_spike_control", ".", cwd=source, timeout=3000)
        assert "balanced" in run("docker", "run", "--rm", "liquid_spike_control", *arguments, timeout=300)
        return
    if os.getuid() != 0 or not shutil.which("debootstrap"):
        pytest.skip("neither Docker's daemon nor root with debootstrap")
    chroot = Chroot(tmp_path / "root")
    ran = []
    for number, (name, rest) in enumerate(instructions()):
        chroot.carry_out(name, rest, source)
        ran.append(name)
        if number == 1:  # the first RUN has brought python3-venv and a compiler
            chroot.install_ros(source)
    assert ran[0] == "FROM" and ran.count("RUN") == 3 and ran.count("COPY") == 2
    which = "import numpy, sensor_msgs.msg; print('numpy', numpy.__version__)"
    assert "numpy 1.26" in chroot.call(*chroot.entry, "python3", "-c", which)
    assert "balanced" in chroot.call(*chroot.entry, *arguments)
