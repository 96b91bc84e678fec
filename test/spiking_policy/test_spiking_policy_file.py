# SPDX-License-Identifier: Apache-2.0
"""Spiking controllers as files: they read back to the bit, and what is wrong is refused by name."""

import dataclasses

import numpy as np
import pytest
from small_policies import PERIOD, SMALL, lively, new_policy, to_file

from liquid_spike_control.checkpoint import check_fits
from liquid_spike_control.control.files import controller_of, read_controller_file
from liquid_spike_control.control.spiking import SpikingController, spiking_model
from liquid_spike_control.errors import ModelError
from liquid_spike_control.liquid.architecture import ELAPSED_RANGE
from liquid_spike_control.liquid.controller import LiquidController
from liquid_spike_control.neuromorphic.model import read_model
from liquid_spike_control.resources import shipped_model
from liquid_spike_control.robots.catalogue import task_named
from liquid_spike_control.spiking import policy_file
from liquid_spike_control.spiking.nir_io import read_perception_model, write_perception_model
from liquid_spike_control.spiking.policy_file import (
    SpikingArchitecture,
    read_spiking_controller,
    write_spiking_controller,
)
from liquid_spike_control.tasks.trained import trained_controller


def test_a_file_reads_back_to_the_bit(saved):
    wanted, read = to_file(lively(new_policy())), read_spiking_controller(saved)
    for field in dataclasses.fields(wanted):
        if field.name not in ("graph", "readout", "hash", "source"):
            assert getattr(read, field.name) == getattr(wanted, field.name), field.name
    ours, theirs = wanted.graph.populations["hidden"], read.graph.populations["hidden"]
    for part in ("du", "dv", "vth"):
        np.testing.assert_array_equal(getattr(theirs, part), getattr(ours, part))
    np.testing.assert_allclose(theirs.bias, ours.bias, rtol=1e-15)  # as a leak, it is divided by dv
    for ours, theirs in zip(wanted.graph.connections, read.graph.connections, strict=True):
        np.testing.assert_array_equal(theirs.weight, ours.weight)
    for part in ("weight", "decay", "mix", "offset"):
        np.testing.assert_array_equal(getattr(read.readout, part), getattr(wanted.readout, part))
    assert len(read.hash) == 64 and read.source == str(saved)


def test_the_same_policy_gives_the_same_content(tmp_path, saved):
    assert write_spiking_controller(tmp_path / "again.nir", to_file(lively(new_policy()))) == (
        read_spiking_controller(saved).hash
    )


def test_the_tools_for_networks_take_the_file(saved):
    model = read_model(saved)
    ours = spiking_model(read_spiking_controller(saved))
    assert model.network().hash == ours.network().hash
    assert model.step_s == ours.step_s == pytest.approx(PERIOD / 4)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ModelError, match="pencil/perception.nir: kind: expected spiking_controller"):
        read_spiking_controller(shipped_model("pencil/perception.nir"))
    with pytest.raises(ModelError, match="no such file"):
        read_spiking_controller(tmp_path / "none.nir")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"observation_names": ("a", "a", "b")}, "observation_names: expected at least one name, none twice"),
        ({"command_limits": (1.0, -1.0)}, "command_limits: expected finite numbers above 0"),
        ({"command_units": ("N",)}, "command_units: expected one for each of 2 names"),
        ({"nominal_period_s": float("nan")}, "nominal_period_s"),
        ({"training_seeds": (3, 2)}, "training_seeds"),
        ({"architecture": dataclasses.replace(SMALL, fields=9)}, "input: expected 36, found 32"),
        ({"architecture": dataclasses.replace(SMALL, units=(25,))}, "populations"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change, words):
    with pytest.raises(ModelError, match=words):
        dataclasses.replace(to_file(new_policy()), **change)


JUNK = (None, 7, "text", ["a"], [[1.0]], {"a": 1})


@pytest.mark.parametrize("field", ["kind", "architecture", "observation_scales", "command_names", "nominal_period_s",
                                   "task", "training_seeds"])  # fmt: skip
def test_spoilt_metadata_are_refused_in_one_line(tmp_path, saved, field):
    """Whatever stands there is refused with one line, or it is what may stand there."""
    model, path = read_perception_model(saved), tmp_path / "spoilt.nir"
    for junk in JUNK:
        metadata = model.metadata | {field: junk}
        write_perception_model(path, model.graph, model.readout, metadata, model.metadata["dt"])
        if (field, junk) in (("nominal_period_s", 7), ("task", "text")):
            read_spiking_controller(path)
            continue
        with pytest.raises(ModelError, match="spoilt.nir") as caught:
            read_spiking_controller(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"units": ()}, "units"),
        ({"units": (5000,)}, "units"),
        ({"fields": 1}, "fields: expected 2 to 256"),
        ({"steps": 1}, "steps: expected 2 to 64"),
        ({"fields": 2.5}, "fields: expected an integer"),
        ({"membrane_taus": (1.0,)}, "membrane_taus"),
        ({"readout_taus": (0.0,)}, "readout_taus"),
    ],
)
def test_impossible_architectures_are_refused_by_name(change, words):
    with pytest.raises(ModelError, match=words):
        SpikingArchitecture(**change)


def test_a_robot_refuses_what_was_made_for_another(saved):
    file = read_spiking_controller(saved)
    robot = {
        "observation_names": file.observation_names,
        "observation_units": file.observation_units,
        "command_names": file.command_names,
        "command_units": file.command_units,
    }
    check_fits(file, **robot, period_s=PERIOD)
    with pytest.raises(ModelError, match="nominal_period_s"):
        check_fits(file, **robot, period_s=0.01)
    with pytest.raises(ModelError, match="command_units"):
        check_fits(file, **robot | {"command_units": ("Nm", "N")}, period_s=PERIOD)


def test_a_file_of_any_kind_gives_its_controller(saved):
    file = read_controller_file(saved)
    assert isinstance(controller_of(file), SpikingController)
    liquid = read_controller_file(shipped_model("pencil/controller.safetensors"))
    assert isinstance(controller_of(liquid), LiquidController)
    with pytest.raises(ModelError, match="no such file"):
        read_controller_file("none.nir")


def test_elapsed_time_is_held_as_for_liquid_networks():
    assert policy_file.ELAPSED_RANGE == ELAPSED_RANGE


def test_another_tasks_controller_is_refused_by_name(saved):
    task = task_named("swing-up")
    with pytest.raises(ModelError, match="policy.nir: task: expected swing-up, found none"):
        trained_controller(saved, task)
