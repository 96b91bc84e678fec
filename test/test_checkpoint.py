# SPDX-License-Identifier: Apache-2.0
import json
import resource
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liquid_spike_control import checkpoint
from liquid_spike_control.checkpoint import (
    ControllerFile,
    check_fits,
    read_controller,
    write_controller,
)
from liquid_spike_control.errors import ModelError, OutputError
from liquid_spike_control.liquid.architecture import named, tensor_shapes


@pytest.fixture(scope="module")
def controller():
    rng = np.random.default_rng(0)
    architecture = named("cfc_mm", units=4, backbone_units=6, backbone_layers=2)
    shapes = tensor_shapes(architecture, 2, 1)
    return ControllerFile(
        observation_names=("cart_position", "pole_angle"),
        observation_units=("m", "rad"),
        observation_scales=(1.0, 0.1),
        command_names=("cart_slide",),
        command_units=("N",),
        command_limits=(10.0,),
        nominal_period_s=0.005,
        task="pencil",
        architecture=architecture,
        training_command="liquid-spike train pencil",
        training_seeds=(0, 999),
        tensors={k: rng.normal(size=s).astype(np.float32) for k, s in shapes.items()},
    )


@pytest.fixture
def path(tmp_path, controller):
    path = tmp_path / "c.safetensors"
    write_controller(path, controller)
    return path


def refused(path, *words):
    """The file is refused in one line that names it and has the words."""
    with pytest.raises(ModelError) as error:
        read_controller(path)
    message = str(error.value)
    assert "\n" not in message
    for word in (str(path), "expected", "found", ";", *words):
        assert word in message
    return message


def rewrite(path, tensors=None, **changes):
    """Write a file with the metadata and the tensors changed; None removes."""
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    metadata = json.loads(header["__metadata__"]["controller"]) | changes
    metadata = {k: v for k, v in metadata.items() if v is not None}
    all_tensors = {**safetensors.numpy.load(data), **(tensors or {})}
    all_tensors = {k: v for k, v in all_tensors.items() if v is not None}
    path.write_bytes(safetensors.numpy.save(all_tensors, {"controller": json.dumps(metadata)}))


def test_what_is_written_is_read(path, controller):
    read = read_controller(path)
    for field in checkpoint._METADATA:
        assert getattr(read, field) == getattr(controller, field)
    assert read.tensors.keys() == controller.tensors.keys()
    assert all((read.tensors[k] == v).all() for k, v in controller.tensors.items())
    assert read.sha256 == controller.sha256


def test_the_same_controller_gives_the_same_bytes(path, controller):
    first = path.read_bytes()
    write_controller(path, controller)
    assert path.read_bytes() == first
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(path, controller):
    """A limit on the file's size fails its writes as a full disk does."""
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OutputError, match="File too large"):
            write_controller(path, controller)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_folder_that_is_not_there_is_an_error(tmp_path, controller):
    with pytest.raises(OutputError, match="cannot be written"):
        write_controller(tmp_path / "none" / "c.safetensors", controller)


def test_a_missing_file_or_a_folder_is_refused(tmp_path):
    refused(tmp_path / "none", "check the path")
    refused(tmp_path, "check the path")


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"\xff" * 64, b"\x80\x05K\x01." * 9, (10**12).to_bytes(8, "little") * 4]
)
def test_a_foreign_file_is_refused(tmp_path, data):
    (tmp_path / "f").write_bytes(data)
    refused(tmp_path / "f", "header")


def test_a_safetensors_file_of_something_else_is_refused(tmp_path):
    safetensors.numpy.save_file({"w": np.zeros(3)}, tmp_path / "f")
    refused(tmp_path / "f", "metadata")


def test_a_file_that_is_too_large_is_refused(path, monkeypatch):
    monkeypatch.setattr(checkpoint, "MAX_FILE_BYTES", 100)
    refused(path, "size")


@pytest.mark.parametrize("text", ["", "not JSON", "[1]", "[" * 100_000, '{"kind": '])
def test_metadata_that_is_not_a_json_object_is_refused(path, text):
    safetensors.numpy.save_file(read_controller(path).tensors, path, {"controller": text})
    refused(path, "metadata")


@pytest.mark.parametrize(
    "field, value",
    [
        ("kind", "mlp"),
        ("version", 1),
        ("sha256", "0" * 64),
        ("task", 3),
        ("task", None),
        ("observation_names", []),
        ("observation_names", ["a", "a"]),
        ("observation_names", "ab"),
        ("observation_units", ["m"]),
        ("observation_units", ["m", 1]),
        ("observation_scales", [1.0, 0.0]),
        ("observation_scales", [1.0, "x"]),
        ("command_names", []),
        ("command_limits", None),
        ("command_limits", []),
        ("command_limits", [0]),
        ("command_limits", [-10]),
        ("command_limits", [float("inf")]),
        ("command_limits", [float("nan")]),
        ("command_limits", [True]),
        ("command_limits", 10),
        ("nominal_period_s", 0),
        ("nominal_period_s", float("nan")),
        ("nominal_period_s", "5 ms"),
        ("architecture", None),
        ("architecture", "cfc"),
        ("training_seeds", [5]),
        ("training_seeds", [9, 0]),
        ("training_command", 7),
    ],
)
def test_a_field_that_is_wrong_is_refused_by_name(path, field, value):
    rewrite(path, **{field: value})
    refused(path, field)


@pytest.mark.parametrize(
    "field, value",
    [
        ("cell", "transformer"),
        ("cell", ["cfc"]),
        ("units", None),
        ("units", 0),
        ("units", 4.0),
        ("units", 10**9),
        ("units", True),
        ("layers", 10**9),
        ("backbone_layers", 10**9),
        ("backbone_layers", 0),
        ("mode", "fast"),
        ("mixed_memory", 1),
        ("unfolds", 0),
        ("period_span", float("nan")),
        ("period_span", -1),
        ("output", "softmax"),
        ("wiring", "auto"),
        ("wiring", {"kind": "auto"}),
        ("wiring", {"sparsity": "half"}),
        ("wiring", {"fan": 3}),
        ("wiring", {"kind": "ncp", "motor": 1}),
        ("wiring", {"seed": -1}),
        ("bias", True),
    ],
)
def test_an_architecture_that_is_wrong_is_refused_by_name(path, controller, field, value):
    architecture = {k: v for k, v in (controller.architecture.as_dict() | {field: value}).items() if v is not None}
    rewrite(path, architecture=architecture)
    with pytest.raises(ModelError) as error:
        read_controller(path)
    assert str(error.value).startswith(f"{path}: ") and field in str(error.value)


@pytest.mark.parametrize(
    "name, tensor, words",
    [
        ("project.weight", None, "float32 (1, 4)"),
        ("foreign", np.zeros(2, np.float32), "(2,)"),
        ("project.weight", np.zeros((2, 4), np.float32), "float32 (2, 4)"),
        ("project.weight", np.zeros((1, 4)), "float64"),
        ("project.bias", np.full(1, np.nan, np.float32), "finite"),
        ("project.bias", np.zeros(1, np.float32), "sha256"),
    ],
)
def test_a_tensor_that_is_wrong_is_refused(path, name, tensor, words):
    rewrite(path, {name: tensor})
    message = refused(path, words)
    assert "sha256" in message or name in message


def test_an_edited_limit_is_refused_though_it_is_plausible(path):
    rewrite(path, command_limits=[20.0])
    refused(path, "sha256")


def test_a_truncated_file_is_refused(path):
    data = path.read_bytes()
    for n in [*range(0, 64), *range(64, len(data), 37), len(data) - 1]:
        path.write_bytes(data[:n])
        refused(path)


@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.integers(0, 10**9), st.integers(1, 255))
def test_a_flipped_byte_is_refused(path, at, flip):
    data = path.read_bytes()
    damaged = bytearray(data)
    damaged[at % len(data)] ^= flip
    try:
        path.write_bytes(damaged)
        # Spaces that pad the header mean nothing, and neither does their damage if it is still white space.
        if not bytes(damaged[8:]).split(b"}")[-1].startswith((b"\t", b"\n", b"\r")):
            refused(path)
    finally:
        path.write_bytes(data)


FITS = dict(
    observation_names=["cart_position", "pole_angle"],
    observation_units=["m", "rad"],
    command_names=["cart_slide"],
    command_units=["N"],
    period_s=0.005,
    command_limits=[10.0],
)


def test_fits(path):
    check_fits(read_controller(path), **FITS)
    check_fits(read_controller(path), **FITS | {"command_limits": None})
    check_fits(read_controller(path), **FITS | {"command_limits": [12.0]})
    more = {"observation_names": ["cart_position", "speed", "pole_angle"], "observation_units": ["m", "m/s", "rad"]}
    check_fits(read_controller(path), **FITS | more, setpoints=["speed"])
    for setpoints in ([], ["pole_angle"]):
        with pytest.raises(ModelError, match="observation_names"):
            check_fits(read_controller(path), **FITS | more, setpoints=setpoints)


@pytest.mark.parametrize(
    "field, value, named",
    [
        ("observation_names", ["pole_angle", "cart_position"], "observation_names"),
        ("observation_names", ["cart_position"], "observation_names"),
        ("observation_units", ["m", "deg"], "observation_units"),
        ("command_names", ["elbow"], "command_names"),
        ("command_units", ["Nm"], "command_units"),
        ("period_s", 0.01, "nominal_period_s"),
        ("period_s", float("nan"), "nominal_period_s"),
        ("command_limits", [9.0], "command_limits"),
        ("command_limits", [float("nan")], "command_limits"),
        ("command_limits", [], "command_limits"),
    ],
)
def test_a_misfit_is_refused_by_name(path, field, value, named):
    with pytest.raises(ModelError) as error:
        check_fits(read_controller(path), **FITS | {field: value})
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: {named}: expected ")
    assert str(value) in message


def test_a_controller_is_checked_when_made(controller):
    with pytest.raises(ModelError, match="architecture"):
        replace(controller, architecture="cfc")
    with pytest.raises(ModelError, match="finite"):
        replace(controller, tensors={**controller.tensors, "project.bias": np.full(1, np.inf, np.float32)})
