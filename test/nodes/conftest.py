# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator

import pytest
from processes import Probe


@pytest.fixture
def probe(ros_domain) -> Iterator[Probe]:
    probe = Probe()
    yield probe
    probe.close()
