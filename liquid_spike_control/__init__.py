# SPDX-License-Identifier: Apache-2.0
"""Perceive with spikes, decide with a liquid neural network, act through a safety gate."""

__version__ = "0.1.0"


def register_environments() -> None:
    """Register the tasks with Gymnasium; Gymnasium calls this itself, by the entry point in setup.py."""
    import gymnasium

    gymnasium.register(id="LiquidSpike/Pencil-v0", entry_point="liquid_spike_control.environment:PencilEnv")
