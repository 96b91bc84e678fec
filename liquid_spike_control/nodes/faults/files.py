# SPDX-License-Identifier: Apache-2.0
"""Faults of files: checkpoints that do not fit, and bags that must give the same commands again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import safetensors.numpy
from lifecycle_msgs.msg import Transition
from rcl_interfaces.msg import Log

from ...checkpoint import ControllerFile, read_controller, write_controller
from ...resources import shipped_model
from ..graph import NodeSpec
from .lost_nodes import worst
from .measurement import Measurement
from .rig import Rig, wait_for

SHIPPED = "pencil/controller.safetensors"


def _rewritten(path: Path, tensors: dict[str, np.ndarray], **changes: object) -> None:
    """The shipped file with some of its content changed and the rest, also its hash, as it was."""
    data = shipped_model(SHIPPED).read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    metadata = json.loads(header["__metadata__"]["controller"]) | changes
    everything = safetensors.numpy.load(data) | tensors
    path.write_bytes(safetensors.numpy.save(everything, {"controller": json.dumps(metadata)}))


def _other(**changes) -> Callable[[Path], None]:
    """A sound file for another robot: its hash is right."""
    return lambda path: write_controller(path, replace(read_controller(shipped_model(SHIPPED)), **changes))


def _spoilt(file: ControllerFile) -> dict[str, tuple[str, Callable[[Path], None]]]:
    """Return damaged files by fault: the field that the error must name, and a function that writes the file."""
    bias = file.tensors["project.bias"]
    nan = np.full_like(bias, np.nan)
    observed = ("elbow", *file.observation_names[1:])
    return {
        "wrong joint": ("observation_names", _other(observation_names=observed)),
        "wrong command": ("command_names", _other(command_names=("elbow_torque",))),
        "wrong unit": ("observation_units", _other(observation_units=("mm", *file.observation_units[1:]))),
        "wrong period": ("nominal_period_s", _other(nominal_period_s=0.01)),
        "no limit": ("command_limits", lambda path: _rewritten(path, {}, command_limits=[1e999])),
        "wrong shape": ("project.bias", lambda path: _rewritten(path, {"project.bias": np.zeros(7, np.float32)})),
        "NaN in a weight": ("project.bias", lambda path: _rewritten(path, {"project.bias": nan})),
        "wrong hash": ("sha256", lambda path: _rewritten(path, {"project.bias": bias + np.float32(1e-3)})),
        "cut off": ("header", lambda path: path.write_bytes(shipped_model(SHIPPED).read_bytes()[:100])),
    }


def bad_checkpoint(thorough: bool = False) -> list[Measurement]:
    """The controller's process is given files that do not fit, one after the other; then a gate no timeout."""
    times, unnamed = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "controller.safetensors"
        path.write_bytes(b"")
        with Rig((NodeSpec("controller", {"controller_model": str(path)}),), up=False) as rig:
            log = rig.observer.subscribe(Log, "/rosout")
            rig.observer.change("controller", Transition.TRANSITION_CONFIGURE)  # empty; until here it was discovered
            spoilt = _spoilt(read_controller(shipped_model(SHIPPED)))
            for wrong, (field, write) in spoilt.items():
                write(path)
                n_before = len(log)
                began = time.monotonic()
                refused = not rig.observer.change("controller", Transition.TRANSITION_CONFIGURE)
                times.append(time.monotonic() - began)
                time.sleep(0.1)
                lines = [h.message.msg for h in log[n_before:] if h.message.name == "controller"]
                if not refused or not any(field in line and str(path) in line for line in lines):
                    unnamed.append(wrong)
            path.write_bytes(shipped_model(SHIPPED).read_bytes())
            sound = rig.observer.change("controller", Transition.TRANSITION_CONFIGURE)
    with Rig((NodeSpec("gate", {"max_age_s": 0.0}),), up=False) as rig:
        wait_for(lambda: rig.ended("gate") is not None, 20, "the end of a gate without a timeout")
        if rig.ended("gate") != 2 or "max_age_s" not in rig.why():
            unnamed.append("zero timeout")
    n = len(spoilt) + 1
    return [
        Measurement(", ".join([*spoilt, "zero timeout"]), "refused, field named", len(unnamed), 0,
                    f"of {n} not {', '.join(unnamed)}".rstrip()),
        Measurement("the same", "configure refuses within", worst(times), 1, f"s, of {len(times)}"),
        Measurement("then the shipped file", "configures", float(not sound), 0, "refused"),
    ]  # fmt: skip


def replay(thorough: bool = False) -> list[Measurement]:
    """A lock-step run is recorded, and its bag run through the same models three times."""
    with tempfile.TemporaryDirectory() as folder:
        bag = str(Path(folder) / "run.mcap")
        seconds = 20 if thorough else 2
        recorded = _command("run", "--mode", "lockstep", "--seed", "1", "--duration", str(seconds), "--record", bag)
        if recorded.returncode not in (0, 1):
            return [Measurement("a recorded run", "is recorded", np.nan, 0, recorded.stderr.strip()[-200:])]
        differ = sum(_command("replay", bag).returncode != 0 for _ in range(3))
    return [Measurement(f"a bag of {seconds} s, three times", "byte-identical commands", differ, 0, "of 3 not")]


def _command(*arguments: str) -> subprocess.CompletedProcess:
    program = [sys.executable, "-m", "liquid_spike_control", *arguments]
    return subprocess.run(program, capture_output=True, text=True, timeout=300, env=dict(os.environ))
