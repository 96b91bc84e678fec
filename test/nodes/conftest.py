# SPDX-License-Identifier: Apache-2.0
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import Probe

os.environ["FASTDDS_DEFAULT_PROFILES_FILE"] = str(Path(__file__).with_name("fastdds.xml"))


@pytest.fixture
def probe(ros_domain) -> Iterator[Probe]:
    probe = Probe()
    yield probe
    probe.close()
