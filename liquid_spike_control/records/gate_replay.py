# SPDX-License-Identifier: Apache-2.0
"""The gate in this process, beside what left the recorded one.

The gate's output follows from the commands and their stamps alone, except for age: the age of a command on arrival
depends on the gate's clock, which is not in a bag. In lock-step the gate's time is the command's stamp, and every
message is determined. In real time a command that was not answered was dropped for its age; and the time at which the
safe command began for lack of commands is unknown, so the rise of the first commands after it is known within bounds
only. Those messages are counted as ``outside``, and must still be the safe command, or between it and the command.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from itertools import takewhile

import numpy as np

from ..control.gate import GateLimits, Verdict, admit, initial_state, press, release, watchdog
from .comparison import Comparison
from .contents import Contents, Published
from .node_comparison import ends

#: A command without a stamp is looked for among those published so long before, and as long as one may be valid [ns].
UNDER_WAY_NS = 50_000_000


class GateReplay:
    """Compares ``contents.gated`` with the gate's output for the commands.

    Args:
        limits: of the gate.
        strict: lock-step, where every command is answered at its own stamp.
        stamped: whether the gated commands carry the stamp of the command; those of a Float64MultiArray do not, and are
            matched by their order and value.

    Attributes:
        verdicts: stamp [ns] of each command that left the recorded gate as it leaves this one, and what the gate did.
    """

    def __init__(self, limits: GateLimits, strict: bool, stamped: bool = True) -> None:
        self._limits, self._strict, self._stamped = limits, strict, stamped
        self._state = initial_state(limits)
        self.verdicts: dict[int, Verdict] = {}
        self._ramp = False  # the safe command began at an unknown time
        self._safe = {output.tobytes() for output in limits.outputs}

    def compare(self, contents: Contents, commands: dict[int, np.ndarray], topic: str) -> Comparison:
        """Go through the gated commands.

        Args:
            contents: of the bag.
            commands: stamp [ns] to command.
            topic: name of the gated commands.
        """
        account = Comparison(topic)
        unanswered, presses = dict(commands), deque(contents.e_stops)
        waiting = deque(contents.commands)
        latest = {message.quantities.stamp_ns: number for number, message in enumerate(contents.gated)}
        for number, message in enumerate(contents.gated):
            values = message.quantities.values
            stamp = message.quantities.stamp_ns if self._stamped else self._match(message, waiting, commands)
            while presses and presses[0] <= message.at_ns:
                presses.popleft()
                self._state = press(self._limits, self._state, stamp)
            # the watchdog's messages carry the clock, which may be the stamp of a command under way
            early = self._stamped and not self._strict and number < latest[stamp] and values.tobytes() in self._safe
            command = None if early else unanswered.pop(stamp, None)
            if command is None:
                self._own(account, stamp, values, number == len(contents.gated) - 1)
            else:
                self._admitted(account, stamp, values, command)
        first, final = min(latest, default=0), ends(commands)
        for stamp in unanswered:
            if self._strict and self._stamped and stamp > first and stamp not in final:
                account.differs(stamp, "", "a command that was not answered")
            else:
                account.unanswered += 1
        return account

    def _match(self, message: Published, waiting: deque[Published], commands: dict[int, np.ndarray]) -> int:
        """The stamp of the command that a message without one answers; when it was published if it answers none."""
        while waiting and waiting[0].at_ns < message.at_ns - self._limits.max_age_ns - UNDER_WAY_NS:
            waiting.popleft()
        there = [c.quantities.stamp_ns for c in takewhile(lambda c: c.at_ns <= message.at_ns, waiting)]
        values = message.quantities.values
        recorded = values.tobytes()
        for stamp in there:
            _, output, _ = admit(self._limits, self._state, commands[stamp], stamp, stamp)
            if output.tobytes() == recorded:
                break
        else:
            if recorded in self._safe or not there:
                return message.at_ns
            start = self._state.output
            plausible = [s for s in there if self._ramp and self._between(start, values, commands[s])]
            stamp = (plausible or there)[0]
        while waiting.popleft().quantities.stamp_ns != stamp:
            pass
        return stamp

    def _admitted(self, account: Comparison, stamp: int, values: np.ndarray, command: np.ndarray) -> None:
        recorded = values.tobytes()
        state, output, verdict = admit(self._limits, self._state, command, stamp, stamp)
        if verdict == Verdict.E_STOP and recorded not in self._safe:  # released, by a service that is not in the bag
            self._state, self._ramp = release(self._state), True
            state, output, verdict = admit(self._limits, self._state, command, stamp, stamp)
        if output.tobytes() == recorded:
            self._state, self._ramp = state, self._ramp and verdict == Verdict.CLIPPED_RATE
            self.verdicts[stamp] = verdict
            account.identical += 1
        elif recorded in self._safe and not self._strict:
            self._set_safe(stamp, values)
            account.outside += 1
        elif self._ramp and self._between(self._state.output, values, command):
            self._state = replace(state, output=values)
            account.outside += 1
        else:
            self._state = state
            account.differs(stamp, _text(values), _text(output))

    def _own(self, account: Comparison, stamp: int, values: np.ndarray, last: bool) -> None:
        """A message that answers no command: the watchdog's, the e-stop's, the one at the end; or, in real time, the
        command that still stands, where a newer one ran ahead of the clock.
        """
        recorded = values.tobytes()
        if not self._strict and recorded == self._state.output.tobytes() and recorded not in self._safe:
            account.outside += 1
        elif recorded not in self._safe:
            account.differs(stamp, _text(values), "")
        elif self._strict and not last and not self._state.stopped:
            account.differs(stamp, f"{_text(values)}, which answers no command", "")
        else:
            self._set_safe(stamp, values)
            account.outside += 1

    def _set_safe(self, stamp: int, values: np.ndarray) -> None:
        standing = self._state.stamp_ns
        late = stamp if standing is None else max(stamp, standing + self._limits.max_age_ns + 1)
        self._state, _, _ = watchdog(self._limits, self._state, late)
        self._state = replace(self._state, now_ns=stamp, output=values)
        self._ramp = True

    def _between(self, start: np.ndarray, values: np.ndarray, command: np.ndarray) -> bool:
        goal = np.clip(command, self._limits.lower, self._limits.upper)
        return bool((np.minimum(start, goal) <= values).all() and (values <= np.maximum(start, goal)).all())


def _text(values: np.ndarray) -> str:
    return ", ".join(repr(value) for value in values.tolist())
