# SPDX-License-Identifier: Apache-2.0
"""Tests beside other people's simulators of Loihi run where those are installed."""

import pytest

from liquid_spike_control.errors import WorkerError
from liquid_spike_control.neuromorphic.workers.oracles import find_oracle


def need(kind: str) -> str:
    """The name of a simulator; the test is skipped where it is not installed."""
    try:
        find_oracle(kind)
    except WorkerError as error:
        pytest.skip(str(error))
    return kind
