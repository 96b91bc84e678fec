# SPDX-License-Identifier: Apache-2.0
"""Whether ROS 2 is installed, checked by each command that needs it before it does anything else."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from ..errors import GraphError
from ..extras import MissingPackageError, remedy
from .graph import TOPICS

#: Packages of the messages and services that the nodes use.
INTERFACES = tuple(
    sorted({kind.partition("/")[0] for kind in TOPICS.values()} | {"builtin_interfaces", "lifecycle_msgs", "std_srvs"})
)


def require_ros(command: str) -> None:
    """Import rclpy and look for the messages.

    Args:
        command: what needs them, for the message.

    Raises:
        MissingPackageError: rclpy or a package of messages is not installed.
        GraphError: rclpy is there and cannot be imported, as one for another version of Python.
    """
    try:
        with signals_held():
            import rclpy  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name == "rclpy":
            raise MissingPackageError(f"{command} needs ROS 2 (rclpy is not installed); {remedy('rclpy')}") from None
        raise _unusable(command, error) from None
    except ImportError as error:
        raise _unusable(command, error) from None
    if missing := missing_interfaces():
        raise MissingPackageError(f"{command} needs {', '.join(missing)}, not installed; {remedy(missing[0])}")


def missing_interfaces() -> list[str]:
    """Those of :data:`INTERFACES` that are not installed."""
    return [name for name in INTERFACES if not _found(name)]


def _found(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ImportError:
        return False


def _unusable(command: str, error: ImportError) -> GraphError:
    reason = " ".join(str(error).split())[:300]
    return GraphError(
        f"{command} needs ROS 2, and rclpy cannot be imported ({reason}); use the Python that ROS was built for, "
        f"or the wheels: {remedy('rclpy')}"
    )


@contextmanager
def signals_held() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait: rclpy and PyOpenGL report an import that is interrupted as a library that is missing.

    Handlers hold them, in the main thread, which is the one that runs handlers. A mask would hold them from one thread
    alone, and a thread of a numerical library would take them.
    """
    came: list[int] = []
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT.value, signal.SIGTERM.value):
            if signal.getsignal(number) is not None:  # one that Python has not set cannot be set again
                before[number] = signal.signal(number, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in dict.fromkeys(came):
            signal.raise_signal(number)
