# SPDX-License-Identifier: Apache-2.0
"""One thread for the kernels, and a ROS domain that no other test on this machine is in."""

import os

os.environ.update(
    ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST",
    NUMBA_NUM_THREADS="1",
    OMP_NUM_THREADS="1",
    OPENBLAS_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
)
os.environ.setdefault("MUJOCO_GL", "egl")

import fcntl
import itertools
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from _pytest.tmpdir import tmppath_result_key
from hypothesis import HealthCheck, settings

# How fast examples are drawn is the machine's affair, and no property of what is tested
settings.register_profile("any_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_machine")

# A job that a script puts into the background ignores Ctrl-C, and so would all that the tests start
signal.signal(signal.SIGINT, signal.default_int_handler)


#: Promises of safety, with bounds on time.
ALONE = ("faults", "nodes/test_gate_node.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try a test that is marked ``real_time`` or ``lockstep`` up to three times: it starts processes that need the
    machine's time, and another program beside them can starve one. The summary lists whatever was tried again, and why.
    Promises of safety, of the gate and under faults, are never tried again. These and what measures real time have the
    machine to themselves; a graph in lock-step waits for its slowest part, and shares it.
    """
    here = Path(__file__).parent
    for item in items:
        real_time = item.get_closest_marker("real_time") is not None
        lockstep = item.get_closest_marker("lockstep") is not None
        if real_time or lockstep:
            item.add_marker(pytest.mark.flaky(retries=2, delay=1))
        if lockstep and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(240))
        if real_time or any(item.path.is_relative_to(here / place) for place in ALONE):
            item.add_marker(pytest.mark.alone)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A second attempt is set up without the report that pytest's tmp_path looks for when it ends."""
    item.stash.setdefault(tmppath_result_key, {})


_DOMAINS = itertools.cycle(range(1, 102))


@contextmanager
def _free_domain() -> Iterator[int]:
    """A ROS domain held by a file lock, which the kernel releases whatever becomes of this process.

    Domain 0 is left to people, and domains above 101 meet the kernel's ephemeral ports. Each call begins behind the
    last domain: discovery knows a killed node for 20 s more, and the next test must not meet it.
    """
    folder = Path(tempfile.gettempdir()) / f"liquid_spike_control_domains_{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for _ in range(101):
        domain = next(_DOMAINS)
        with open(folder / str(domain), "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield domain
            return
    raise RuntimeError("all 101 ROS domains are in use by other test sessions")


@pytest.fixture(scope="session", autouse=True)
def _session_domain() -> Iterator[None]:
    """Whatever joins ROS without `ros_domain` joins this session's domain, not the machine's."""
    with _free_domain() as domain:
        os.environ["ROS_DOMAIN_ID"] = str(domain)
        yield


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A ROS domain of the test's own, also in the environment that its processes inherit."""
    with _free_domain() as domain:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
        yield domain
