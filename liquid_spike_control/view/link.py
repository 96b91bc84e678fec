# SPDX-License-Identifier: Apache-2.0
"""Between a loop and the process of its view: datagrams that neither waits for.

A view that is slow, stopped or killed costs the loop a failed system call: what does not fit is lost, and counted.
"""

from __future__ import annotations

import select
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from ..resources import PACKAGE
from .sample import Facts, Order, Sample

#: The most that a datagram may hold [bytes]; of a larger sample the events are left out.
MOST_BYTES = 150_000
#: How long a run waits for its page to be opened [s]; after that it begins without it.
OPEN_S = 60.0
_BUFFER = 4_000_000
_encoder = msgspec.msgpack.Encoder()
_orders = msgspec.msgpack.Decoder(Order)
_messages: msgspec.msgpack.Decoder[tuple[Sample | None, Facts | None, int]] = msgspec.msgpack.Decoder(
    tuple[Sample | None, Facts | None, int]
)


class Link:
    """One end of the datagrams.

    Args:
        end: a socket of a pair, which is closed with this.

    Attributes:
        lost: messages that did not fit.
        broken: whether the other end is gone.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        end.setblocking(False)
        with suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        self.lost, self.broken = 0, False

    def send(self, sample: Sample | None, facts: Facts | None = None) -> None:
        """Send what happened; never waits."""
        if self.broken:
            return
        data = _encoder.encode((sample, facts, self.lost))
        if len(data) > MOST_BYTES and sample is not None:
            sample.events = b""
            data = _encoder.encode((sample, facts, self.lost))
        self._transmit(data)

    def ask(self, order: Order) -> None:
        """Send what a person wants; never waits."""
        self._transmit(_encoder.encode(order))

    def _transmit(self, data: bytes) -> None:
        try:
            self._end.send(data)
        except (BlockingIOError, InterruptedError):
            self.lost += 1
        except OSError:
            self.broken = True

    def orders(self) -> list[Order]:
        """What was asked for since the last call; never waits."""
        found = []
        while (data := self._receive()) is not None:
            found.append(_orders.decode(data))
        return found

    def wait(self, at_most_s: float) -> None:
        """Return when a message has come or the other end is gone, or after `at_most_s`."""
        if not self.broken:
            select.select([self._end], [], [], at_most_s)

    def _receive(self) -> bytes | None:
        if self.broken:
            return None
        try:
            data = self._end.recv(2 * MOST_BYTES)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            data = b""
        self.broken = self.broken or not data
        return data or None

    def heard(self) -> list[tuple[Sample | None, Facts | None, int]]:
        """What happened since the last call, and how many messages were lost before each; never waits. A process that
        waited for each message would be woken by each, on a core that the loop may need.
        """
        found = []
        while (data := self._receive()) is not None:
            found.append(_messages.decode(data))
        return found

    def close(self) -> None:
        """Close this end."""
        self._end.close()


def announce(link: str, waits: bool) -> None:
    """Print where the page is, and whether a run waits for it."""
    erase = "\r\x1b[2K" if sys.stderr.isatty() else ""  # what another process shows there of its progress
    print(f"{erase}view: {link}", file=sys.stderr)
    if waits:
        print(f"Open it in a browser: the run begins then, or in {OPEN_S:.0f} s.", file=sys.stderr)
    sys.stderr.flush()


def start_view(arguments: Sequence[str]) -> tuple[Link, subprocess.Popen]:
    """Start the process of a view.

    Args:
        arguments: of :mod:`.process`, without the socket's.

    Returns:
        The loop's end, and the process, which ends when that end is closed.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", f"{PACKAGE}.view.process", "--socket", str(theirs.fileno()), *arguments]
    # a session of its own: Ctrl-C in the terminal is the loop's, which ends the view by closing the link
    process = subprocess.Popen(command, pass_fds=[theirs.fileno()], start_new_session=True)
    theirs.close()
    return Link(ours), process
