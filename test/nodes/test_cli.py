# SPDX-License-Identifier: Apache-2.0
"""What a user gets wrong: one line that names it, and exit status 2."""

import subprocess
import sys

import pytest
from cli_here import cli
from processes import models, run


def refused(done: subprocess.CompletedProcess) -> str:
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("liquid-spike: ")
    return done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["crayon"], "unknown robot 'crayon'; known: arm, double-pendulum"),
        (["--duration", "-3"], "--duration -3.0"),
        (["--perception-model", "none.nir"], "none.nir: no such file"),
        (["--controller-model", "none.safetensors"], "none.safetensors: no such file"),
        (["--json", "nowhere/at/all.json", *models()], "make it first"),
        (["--in-process", "--record", "o.mcap", *models()], "--record needs topics"),
        (["--in-process", "--simulator", "float", *models()], "--simulator float is for the offload node"),
        (["--backend", "in_process", "--simulator", "lava", *models()], "--simulator lava is for the offload node"),
    ],
)
def test_bad_options(arguments, says):
    arguments = arguments if "--perception-model" in arguments else [*models(), *arguments]
    assert says in refused(cli("run", *arguments))


def test_a_domain_that_is_none(ros_domain):
    assert "ROS_DOMAIN_ID=many" in refused(run(*models(), ROS_DOMAIN_ID="many"))


@pytest.mark.parametrize(
    ("which", "in_process"),
    [(0, ["--in-process"]), (1, ["--in-process"]), (0, []), pytest.param(1, [], marks=pytest.mark.slow)],
)
def test_a_model_that_is_damaged(ros_domain, tmp_path, which, in_process):
    """Over ROS the node that reads it refuses, and says so through the supervisor."""
    arguments = models()
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"not a model")
    arguments[2 * which + 1] = str(damaged)
    done = cli("run", *arguments, *in_process) if in_process else run(*arguments)
    assert str(damaged) in refused(done)


@pytest.mark.parametrize("in_process", [["--in-process"], pytest.param([], marks=pytest.mark.slow)])
def test_no_graphics(ros_domain, tmp_path, in_process):
    said = refused(run(*models(), *in_process, __EGL_VENDOR_LIBRARY_DIRS=str(tmp_path)))
    assert "no off-screen GL" in said


def test_help_is_quick_because_it_imports_little():
    code = (
        "import sys\nfrom liquid_spike_control.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "print(sorted({'rclpy', 'numba', 'torch', 'mujoco', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, timeout=30)
    assert done.stdout.endswith("[]\n"), done.stdout + done.stderr
    assert "run" in done.stdout
