# SPDX-License-Identifier: Apache-2.0
"""The GitHub workflow and pre-commit: valid, and their commands run in a fresh clone as the files have them."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from sources import ROOT, run
from test_fresh_environments import LEAKS
from test_package import copy_of_the_tree

WORKFLOW = ROOT / ".github/workflows/ci.yml"
#: What each job needs of a machine comes through apt there, and is here already.
APT = re.compile(r"^(sudo )?apt-get update && (sudo )?apt-get install --yes ")


def steps(job: str) -> Iterator[tuple[str, str]]:
    """Commands of a job that are not apt's, and the folder in which each runs."""
    for step in yaml.safe_load(WORKFLOW.read_text())["jobs"][job]["steps"]:
        if "run" in step and not APT.match(step["run"]):
            yield step["run"], step.get("working-directory", ".")


def clone(folder: Path) -> Path:
    """A repository with one commit: what this one tracks, or would."""
    copy_of_the_tree(folder)
    author = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    for command in (("init", "-q"), ("add", "--all"), (*author, "commit", "-q", "--no-verify", "-m", "all")):
        run("git", "-C", folder, *command, timeout=60)
    return folder


def environment(programs: Path) -> dict[str, str]:
    """This one without what belongs to the tests' Python, which is there as `python` and `python3`."""
    programs.mkdir()
    for name in ("python", "python3"):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (programs / name).chmod(0o755)
    kept = {k: v for k, v in os.environ.items() if k not in LEAKS and not k.startswith(("PYTEST", "MAKE"))}
    return kept | {"PATH": f"{programs}:{os.environ['PATH']}"}


def test_the_files_are_valid():
    pytest.importorskip("check_jsonschema", reason="pip install check-jsonschema")
    for schema, file in (("github-workflows", WORKFLOW), ("citation-file-format", ROOT / "CITATION.cff")):
        run(sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}",
            "--force-filetype", "yaml", file, timeout=60)  # fmt: skip
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert len(commands) > 8
    for command in commands:
        done = subprocess.run(["bash", "-n"], input=command, text=True, capture_output=True, timeout=20)
        assert done.returncode == 0, f"{command}\n{done.stderr}"


def test_the_workflow_runs_the_notebooks():
    assert any("make notebooks" in command for command, _ in steps("tutorials"))


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_the_job_of_tests_and_pre_commit_run_in_a_clone(tmp_path):
    """`make test` with a part of the tests; all of them are here already."""
    source = clone(tmp_path / "clone")
    surroundings = environment(tmp_path / "programs") | {"PYTEST_ARGS": "-k 'test_gate and not node'"}
    ran = [command for command, _ in steps("test")]
    for command in ran:
        run("bash", "-euc", command, cwd=source, env=surroundings, timeout=1800)
    assert [command.split()[:2] for command in ran] == [["make", goal] for goal in ("lint", "docs", "test")]

    hooks = [source / ".venv/bin/pre-commit", "run", "--all-files"]
    surroundings["PRE_COMMIT_HOME"] = str(tmp_path / "hooks")
    assert "Passed" in run(*hooks, cwd=source, env=surroundings, timeout=600)
    (source / "liquid_spike_control/gate_of_straw.py").write_text("import os\n")
    run("git", "-C", source, "add", "--all", timeout=60)
    refused = subprocess.run(hooks, cwd=source, env=surroundings, text=True, capture_output=True, timeout=600)
    assert refused.returncode == 1 and "gate_of_straw.py" in refused.stdout


@pytest.mark.slow
@pytest.mark.colcon
@pytest.mark.timeout(2400)
def test_the_job_of_colcon_runs_on_the_wheels(tmp_path):
    """Where the file sources a system ROS, this takes the wheels of the tests' environment, and their messages."""
    clone(tmp_path / "ws/src/liquid_spike_control")
    surroundings = environment(tmp_path / "programs")
    surroundings |= {"AMENT_PREFIX_PATH": sys.prefix, "CMAKE_PREFIX_PATH": sys.prefix}
    libraries = ("LD_LIBRARY_PATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE")  # as a sourced ROS sets its own
    surroundings |= {name: os.environ[name] for name in libraries if name in os.environ}
    own = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    (requirements, folder), (build, _) = steps("colcon")
    run("bash", "-euc", requirements, cwd=tmp_path / folder, env=surroundings, timeout=1200)
    venv = tmp_path / folder / "venv"
    (venv / own / "wheels.pth").write_text(f"{Path(sys.prefix) / own}\n")
    run(venv / "bin/python", "-m", "pip", "install", "-q", "colcon-common-extensions", env=surroundings, timeout=600)

    sourced = "source /opt/ros/jazzy/setup.bash && "
    assert sourced in build
    done = run("bash", "-euc", build.replace(sourced, ""), cwd=tmp_path / folder, env=surroundings, timeout=1200)
    summary = re.search(r"Summary: (\d+) tests, 0 errors, 0 failures", done)
    assert summary and int(summary[1]) > 20, done[-3000:]
