# SPDX-License-Identifier: Apache-2.0
"""What is released: wheels, metadata, bill of materials, container, continuous integration."""

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
import yaml
from packaging.requirements import Requirement
from sources import ROOT
from test_fresh_environments import Fresh
from test_package import copy_of_the_tree

import liquid_spike_control

#: rosdep's key for a requirement of setup.py, where it is not python3-<name>. Checked in ros/rosdistro's python.yaml.
KEYS = {"gymnasium": "python3-gymnasium-pip", "mujoco": "python3-mujoco-pip", "rosbags": "python3-rosbags-pip",
        "pyopengl": "python3-opengl", "pillow": "python3-pil", "pyyaml": "python3-yaml"}  # fmt: skip
#: What rosdep has no key for.
KEYLESS = {"nir", "safetensors", "msgspec", "setproctitle", "tyro"}
#: Licences under which what this package needs may be redistributed.
PERMISSIVE = re.compile(
    r"Apache|BSD|MIT|PSF|Python Software Foundation|Python-2\.0|ISC|HPND|CNRI|MPL|Mozilla|Zlib|any-OSI|CC0|LLVM", re.I
)


def requirements() -> set[str]:
    """Names of what setup.py needs at run time."""
    block = re.search(r"install_requires=\[(.*?)\n    \]", (ROOT / "setup.py").read_text(), re.DOTALL)[1]
    return {Requirement(text).name for text in re.findall(r'^        "([^"]+)"', block, re.MULTILINE)}


def test_rosdep_has_a_key_for_each_requirement_or_package_xml_says_that_it_has_none():
    source = (ROOT / "package.xml").read_text()
    package = ElementTree.fromstring(source)
    keys = {element.text for element in package.iter("exec_depend") if element.text.startswith("python3-")}
    assert len(requirements()) > 10
    assert keys == {KEYS.get(name, f"python3-{name}") for name in requirements() - KEYLESS}
    comment = re.search(r"rosdep knows no key for (.*?);", source, re.DOTALL)[1]
    assert all(name in comment for name in KEYLESS)


def test_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == liquid_spike_control.__version__ and citation["license"] == "Apache-2.0"
    assert citation["title"] and citation["message"] and citation["authors"]
    for reference in citation["references"]:
        assert re.fullmatch(r"10\.\d{4,}/\S+", reference["doi"])


def test_the_workflow_calls_goals_that_the_makefile_has():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    goals = {goal for text in steps for goal in re.findall(r"\bmake ([a-z-]+)", text)}
    assert {"lint", "test"} <= goals
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    goals |= {goal for hook in hooks for goal in re.findall(r"\bmake ([a-z-]+)", hook["entry"])}
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{goal}:", makefile, re.MULTILINE) for goal in goals)
    pythons = re.findall(r"Python :: (3\.\d+)", (ROOT / "setup.py").read_text())
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == pythons


def test_the_container_installs_what_the_documents_ask_for():
    """Building it needs Docker and a network; this finds what has been forgotten in it."""
    text = (ROOT / "Dockerfile").read_text()
    documented = re.search(r"sudo apt install (make .*)", (ROOT / "docs/installation.md").read_text())[1].split()
    installed = set(re.search(r"--no-install-recommends (.*?)&&", text, re.DOTALL)[1].replace("\\", " ").split())
    assert set(documented) - {"make"} <= installed and "ros-jazzy-event-camera-msgs" in installed
    entry = ROOT / "release/container_entry.sh"
    assert "release/container_entry.sh" in text and os.access(entry, os.X_OK)
    assert subprocess.run(["bash", "-n", entry], timeout=20).returncode == 0
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".git", "dist"} <= set(ignored) and not {"config", "launch", "resource", "executables"} & set(ignored)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_make_dist_gives_a_wheel_that_works_alone_and_says_what_it_needs(tmp_path):
    """The wheel of the source distribution, in an environment with nothing else; the licences of what came along."""
    source = copy_of_the_tree(tmp_path / "source")
    command = ["make", "-C", source, "dist", f"PYTHON={sys.executable}"]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1500)
    dist = source / "dist"
    assert done.returncode == 0, done.stdout[-4000:]
    (wheel,) = dist.glob("*.whl")
    assert list(dist.glob("*.tar.gz"))
    fresh = Fresh(tmp_path / "fresh", sys.executable, "--constraint", ROOT / "constraints.txt", package=wheel)
    fresh.runs()
    typed = "import liquid_spike_control as p, pathlib; print((pathlib.Path(p.__file__).parent / 'py.typed').is_file())"
    assert fresh.python("-c", typed).split() == ["True"]

    parts = json.loads((dist / "sbom.cdx.json").read_text())["components"]
    licences = {part["name"].lower(): json.dumps(part.get("licenses", "")) for part in parts}
    assert {name.lower() for name in requirements()} <= set(licences)
    assert {"torch", "rclpy", "pytest"} & set(licences) == set()
    assert not {name: text for name, text in licences.items() if not PERMISSIVE.search(text)}
    listed = (dist / "licences.md").read_text()
    assert all(f"| {part['name']} | {part['version']} |" in listed for part in parts)
