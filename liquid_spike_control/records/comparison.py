# SPDX-License-Identifier: Apache-2.0
"""Recorded beside replayed, message by message of one topic."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """A difference between a replayed and the recorded message.

    Attributes:
        stamp_ns: of the message.
        recorded, replayed: its content as text; empty where it is missing.
    """

    stamp_ns: int
    recorded: str
    replayed: str


@dataclass
class Comparison:
    """The account of one topic.

    Attributes:
        topic: its name.
        identical: messages that are the same byte for byte, stamp and values.
        outside: messages that follow from something that is not in the bag, and were found plausible.
        unanswered: inputs that the graph did not answer, for which there is nothing to compare.
        differing: messages that differ, or are missing.
        first, last: the first and the last of those.
    """

    topic: str
    identical: int = 0
    outside: int = 0
    unanswered: int = 0
    differing: int = 0
    first: Difference | None = None
    last: Difference | None = None

    def differs(self, stamp_ns: int, recorded: str, replayed: str) -> None:
        """Count a difference."""
        self.last = Difference(stamp_ns, recorded, replayed)
        self.first = self.first or self.last
        self.differing += 1

    def excuse(self) -> None:
        """Count the differences as following from something that is not in the bag."""
        self.outside += self.differing
        self.differing, self.first, self.last = 0, None, None

    def compare(self, stamp_ns: int, recorded: bytes, replayed: bytes, texts: tuple[str, str]) -> bool:
        """Count a message and return whether it is the same; ``texts`` describe the recorded and the replayed one."""
        if recorded == replayed:
            self.identical += 1
            return True
        self.differs(stamp_ns, *texts)
        return False
