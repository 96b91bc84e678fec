# SPDX-License-Identifier: Apache-2.0
import os
from collections.abc import Iterator

import pytest
from processes import Probe

from liquid_spike_control.nodes.transport import profile_variables

os.environ.update(profile_variables({}))


@pytest.fixture
def probe(ros_domain) -> Iterator[Probe]:
    probe = Probe()
    yield probe
    probe.close()
