# SPDX-License-Identifier: Apache-2.0
"""What ``import liquid_spike_control`` gives."""

import doctest
import inspect
import subprocess
import sys

import pytest

import liquid_spike_control
from liquid_spike_control import _MODULES, __all__


def test_every_name_is_there_and_has_a_docstring():
    assert sorted(__all__) == sorted(name for names in _MODULES.values() for name in names)
    assert set(__all__) <= set(dir(liquid_spike_control))
    for name in __all__:
        found = getattr(liquid_spike_control, name)
        assert name == "EVENT" or inspect.getdoc(found), name
    with pytest.raises(AttributeError, match="has no attribute nothing"):
        liquid_spike_control.nothing  # noqa: B018


def test_the_example_of_the_package_runs():
    found = doctest.testmod(liquid_spike_control)
    assert found.attempted >= 5 and not found.failed


def test_nothing_heavy_is_loaded_before_it_is_used():
    """Help texts and launch files import the package."""
    program = (
        "import sys, liquid_spike_control as lsc; lsc.Robot, lsc.read_robot, lsc.LiquidSpikeError;"
        "print([m for m in ('mujoco', 'torch', 'numba', 'rclpy', 'matplotlib') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60).stdout == "[]\n"
