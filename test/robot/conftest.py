# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.with_name("nodes")))  # processes.py


@pytest.fixture
def probe(ros_domain):
    """A node that looks on."""
    from processes import Probe  # needs ROS, as not all tests of this folder do

    probe = Probe()
    yield probe
    probe.close()
