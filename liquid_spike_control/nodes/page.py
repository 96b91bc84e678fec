# SPDX-License-Identifier: Apache-2.0
"""The page of ``liquid-spike run --view`` over ROS 2: a process of ``liquid-spike view`` beside the graph."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from ..resources import PACKAGE
from ..view.link import OPEN_S
from . import graph


class Page:
    """A view of the graph on this ROS domain; a context manager, which starts its process and kills it.

    Args:
        arguments: of ``liquid-spike view``.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = arguments
        self._deadline_s: float | None = None

    def __enter__(self) -> Self:
        self._opened, theirs = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", PACKAGE, "view", *self._arguments], start_new_session=True, pass_fds=[theirs],
                env=os.environ | {graph.PARENT: str(os.getpid()), graph.OPENED: str(theirs)},
            )  # fmt: skip
        finally:
            os.close(theirs)
        return self

    def __exit__(self, *_) -> None:
        self._process.kill()  # it holds nothing that must be put away
        self._process.wait()
        os.close(self._opened)

    @property
    def waited_for(self) -> bool:
        """Whether the page was opened, its process has ended, or :data:`~..view.link.OPEN_S` are over since the first
        call.
        """
        now = time.monotonic()
        if self._deadline_s is None:
            self._deadline_s = now + OPEN_S
        return bool(select.select([self._opened], [], [], 0)[0]) or now >= self._deadline_s


def report_opened() -> None:
    """In the process of the view: let the run begin that waits for its page; without one, nothing is done."""
    if number := os.environ.pop(graph.OPENED, ""):
        with suppress(OSError, ValueError):  # the run has ended
            os.close(int(number))
