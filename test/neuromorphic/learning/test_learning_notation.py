# SPDX-License-Identifier: Apache-2.0
"""Rules as they are written: what is read, and what the chip cannot hold."""

import pytest

from liquid_spike_control.errors import LearningRuleError, LiquidSpikeError
from liquid_spike_control.neuromorphic.learning.notation import Factor, Product, parse
from liquid_spike_control.neuromorphic.learning.rule import LearningRule, Trace


def test_sums_of_products_are_read():
    one, two, three = parse("dw = 2^-4*x1*y0 - 3*2^2*(y1 - 4)*x0*sgn(w) + u2*(-2)*(5 - t)", "w")
    assert one == Product("y0", 0, 1, -4, (Factor("x1"),))
    assert two == Product("x0", 0, -3, 2, (Factor("y1", -4), Factor("w", 0, True)))
    assert three == Product("u", 2, 2, 0, (Factor("t", -5),)), "-2 (5 - t) = 2 (t - 5)"


def test_large_constants_become_powers_and_a_second_gate_a_factor():
    (product,) = parse("48 * x0 * y0 * x1", "t")
    assert (product.mantissa, product.exponent) == (6, 3)
    assert product.gate == "x0" and product.factors == (Factor("y0"), Factor("x1"))
    assert parse("u0*x1*y1", "w")[0].shift == 3 and parse("x0*y1", "w")[0].shift == 0


X, Y = Trace(16, 20), Trace(16, 20)
REWARDED = {"dw": "x0*y3", "y3": Trace(0, 5), "reinforcement": "y3"}
REFUSED = {
    "rule: dw: x1 has no gate; multiply it by x0, y0 or u0 .. u9": {"dw": "x1"},
    "rule: dw: 'z1' is no factor; known are x0": {"dw": "x0*z1"},
    "rule: dw: '/' is no part of a rule": {"dw": "x0*y1/2"},
    "rule: dw: 9*x0: the constant 9 has more than 4 bits": {"dw": "9*x0"},
    "rule: dw: 2^-8*x0: the exponent -8 is none of the chip's; use -7 .. 8": {"dw": "2^-8*x0"},
    "rule: dw: u1 beside x0": {"dw": "x0*u1"},
    "rule: dw: 'u10'; use u0 .. u9": {"dw": "u10"},
    "'3^2'; write powers of 2": {"dw": "3^2*x0"},
    "its factors have 36 bits, 31 are multiplied": {"dw": "u0*w*d*x1*y1"},
    "sgn() of something else": {"dw": "x0*sgn(y1)"},
    "x1 and y1 in one factor; multiply out": {"dw": "x0*(x1 + y1)"},
    "the constant 200 beside y1 has more than 8 bits; add -128 .. 127": {"dw": "x0*(y1 + 200)"},
    "2^-1 beside a factor; add whole numbers": {"dw": "x0*(y1 + 2^-1)"},
    "two constants in one factor": {"dw": "x0*(3 + 2)"},
    "'x1' after a product; join factors by *": {"dw": "x0 x1"},
    "dw: begins with 'dt ='; write dw = ...": {"dw": "dt = x0"},
    "dw: nothing stands there": {"dw": " "},
    "the end is no factor": {"dw": "x0*"},
    "close the parenthesis": {"dw": "x0*(y1"},
    "it changes nothing; give dw, dd or dt": {},
    "x1 has no trace; give x1=Trace(impulse, tau)": {"dw": "x1*y0", "x1": None},
    "x1 has an impulse of 130; use 0 .. 127": {"dw": "x1*y0", "x1": Trace(130, 3)},
    "x1 has an impulse of nan; use 0 .. 127": {"dw": "x1*y0", "x1": Trace(float("nan"), 3)},
    "y1 has a time constant of -1": {"dw": "x0", "y1": Trace(1, -1)},
    "u[0, 2] in one rule; the chip has one decimation": {"dw": "u0*x1", "dt": "u2*x1"},
    "an epoch of 64 steps; use 1 .. 63": {"dw": "x0", "epoch": 64},
    "sign both; use mixed, excitatory, inhibitory": {"dw": "x0", "sign": "both"},
    "bounds -3 .. 20; excitatory weights lie in 0 .. 255": {"dw": "x0", "sign": "excitatory", "bounds": (-3, 20)},
    "y1 is the reinforcement and takes spikes; give y1=Trace(0, tau)": {"dw": "x0*y1", "reinforcement": "y1"},
    "reward_axons and no reinforcement; name the trace": {"dw": "x0*y1", "reward_axons": ((3, 1),)},
    "reward_axons and an epoch above 1; use an epoch of 1": {**REWARDED, "reward_axons": ((3, 1),), "epoch": 2},
    "an axon is among reward_axons twice": {**REWARDED, "reward_axons": ((3, 1), (3, 2))},
    "a reward axon of 3 with an impulse of nan; give the number": {**REWARDED, "reward_axons": ((3, float("nan")),)},
    "a reward axon of 3 with an impulse of 128": {**REWARDED, "reward_axons": ((3, 128),)},
    "a reward axon of -1 with an impulse of 1": {**REWARDED, "reward_axons": ((-1, 1),)},
    "Brian2Loihi has dw only": {"dw": "x0", "dt": "x0", "arithmetic": "brian2loihi"},
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_the_chip_cannot_hold_is_refused_in_one_line(message):
    with pytest.raises(LearningRuleError) as error:
        LearningRule(**{"x1": X, "y1": Y} | REFUSED[message])
    assert message in str(error.value) and "\n" not in str(error.value)
    assert isinstance(error.value, LiquidSpikeError)


def test_a_rule_goes_through_a_file_s_table():
    rule = LearningRule(
        "2^-1*x1*y3*u1", dt="x0", x1=Trace(1.5, 7), y3=Trace(0, float("inf")), reinforcement="y3", bounds=(-5, 9),
        reward_axons=((0, 20), (3, -128)), seed=4,
    )  # fmt: skip
    assert LearningRule.from_table(rule.to_table()) == rule
    with pytest.raises(LearningRuleError, match="learning rule: dx: no such field"):
        LearningRule.from_table({"dx": "x0"})
    with pytest.raises(LearningRuleError, match="write the file again"):
        LearningRule.from_table({"dw": "x0", "x1": [1]})
