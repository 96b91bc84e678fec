# SPDX-License-Identifier: Apache-2.0
import pytest
from small_policies import lively, new_policy, to_file

from liquid_spike_control.spiking.policy_file import write_spiking_controller


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """The file of a spiking controller."""
    path = tmp_path_factory.mktemp("spiking") / "policy.nir"
    write_spiking_controller(path, to_file(lively(new_policy())))
    return path
