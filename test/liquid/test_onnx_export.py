# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from liquid_spike_control.errors import ModelError  # noqa: E402
from liquid_spike_control.liquid.architecture import named  # noqa: E402
from liquid_spike_control.liquid.onnx_export import disagreement, onnx_bytes, state_names, write_onnx  # noqa: E402
from liquid_spike_control.liquid.policies import new_policy  # noqa: E402
from liquid_spike_control.liquid.wiring import WiringPlan  # noqa: E402

ARCHITECTURES = {
    "cfc": named("cfc", units=12, layers=2, activation="silu", encoder_units=5),
    "cfc, pure, no spans": named("cfc", units=9, mode="pure", elapsed_span=False, output="clip"),
    "cfc_mm": named("cfc_mm", units=12, mode="no_gate", activation="gelu"),
    "ltc": named("ltc", units=9, mixed_memory=True),
    "ncp": named("ncp", wiring=WiringPlan(motor=4), layers=2),
    "ncp of cfc": named("ncp", cell="cfc", period_span=0.3),
    "gru": named("gru", units=12, elapsed_input=False),
    "lstm": named("lstm", units=12),
    "mlp": named("mlp", units=12),
    "mlp, stacked": named("mlp_stacked", units=12, stacked=3, encoder_units=5),
    "s5": named("s5", units=12, period_span=0.7),
}


def file_of(architecture):
    policy = new_policy(architecture, (1.0, 3.0, 0.1), (10.0, 0.5), 0.02, seed=1)
    return policy.to_file(
        observation_names="abc", observation_units="mmm", command_names="uv", command_units="NN",
        task="none", training_command="none", training_seeds=(0, 1),
    )  # fmt: skip


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES.keys())
def test_onnxruntime_does_what_the_controller_does(architecture, tmp_path):
    file = file_of(architecture)
    write_onnx(tmp_path / "c.onnx", file)
    assert disagreement((tmp_path / "c.onnx").read_bytes(), file, n_steps=200) < 1e-5


def test_a_batch_equals_its_rows_and_the_file_describes_itself(tmp_path):
    file = file_of(named("ncp"))
    write_onnx(tmp_path / "c.onnx", file)
    session = onnxruntime.InferenceSession(str(tmp_path / "c.onnx"))
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["observation_units"]) == ["m", "m", "m"]
    rng = np.random.default_rng(0)
    given = {"observation": rng.normal(size=(5, 3)), "elapsed": 0.02 * rng.uniform(0.5, 2, (5, 1))}
    given |= {name: rng.normal(size=(5, 19)) for name in state_names(file)}
    given = {k: v.astype(np.float32) for k, v in given.items()}
    together = session.run(None, given)
    for k in range(5):
        alone = session.run(None, {name: v[k : k + 1] for name, v in given.items()})
        for ours, theirs in zip(together, alone, strict=True):
            np.testing.assert_allclose(ours[k], theirs[0], rtol=0, atol=1e-5)


def test_the_same_controller_gives_the_same_bytes(tmp_path):
    for name in "ab":
        write_onnx(tmp_path / name, file_of(named("cfc_mm")))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_graph_that_differs_is_found_out(tmp_path):
    file = file_of(named("cfc"))
    assert disagreement(onnx_bytes(file), file_of(named("cfc", period_span=1.1)), n_steps=50) > 1e-4


def test_what_is_no_graph_is_refused():
    with pytest.raises(ModelError, match="onnxruntime cannot run the ONNX model"):
        disagreement(b"no graph", file_of(named("cfc")))
