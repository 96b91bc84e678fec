# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike replay``: the outcome of a replay as a table, JSON and picture."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table

from ..outputs import write_json
from ..terminal import Console
from .progress import ProgressBar
from .replay import Replay, replay
from .setup import Topics

if TYPE_CHECKING:
    from ..options import ReplayOptions


def replay_command(options: ReplayOptions) -> int:
    """Replay a bag and report; 0 if it is identical, 1 if it differs.

    Raises:
        LiquidSpikeError: an option, the bag or a model is wrong.
    """
    if options.video is not None:
        from ..video.encoding import check_encoder

        check_encoder(options.video)
    topics = Topics(events=options.events, joints=options.joints, command=options.command, gated=options.gated)
    with ProgressBar("replaying", "packets") as bar:
        outcome = replay(
            options.bag,
            options.perception_model,
            options.controller_model,
            topics,
            options.mode,
            options.other_models,
            bar.show,
        )
    _print(outcome)
    write_json(options.json, numbers(outcome))
    if options.plot is not None:
        from .replay_figure import draw

        draw(outcome, options.plot)
    if options.video is not None:
        from .replay_video import write_video

        write_video(outcome, topics, options.video)
    return 0 if outcome.identical else 1


def numbers(outcome: Replay) -> dict:
    """The outcome as JSON has it."""
    return {
        "bag": str(outcome.path),
        "identical": outcome.identical,
        "mode": "lockstep" if outcome.setup.lockstep else "realtime",
        "models": outcome.description.models,
        "topics": [asdict(comparison) for comparison in outcome.comparisons],
        "notes": outcome.notes,
    }


def _print(outcome: Replay) -> None:
    console = Console(highlight=False, soft_wrap=True)
    rules = "lock-step" if outcome.setup.lockstep else "real time"
    table = Table(title=f"{outcome.path.name}, by the rules of {rules}")
    table.add_column("topic")
    for name in ("identical", "outside the bag", "unanswered", "different"):
        table.add_column(name, justify="right")
    for c in outcome.comparisons:
        table.add_row(c.topic, *(str(n) for n in (c.identical, c.outside, c.unanswered, c.differing)))
    console.print(table)
    for note in outcome.notes:
        console.print(f"note: {note}")
    if outcome.identical:
        made = "the recorded one" if outcome.setup.lockstep else "what its stage makes of what it was given"
        console.print(f"identical: every message is {made}, byte for byte")
        return
    start = outcome.contents.commands[0].quantities.stamp_ns
    for c in outcome.comparisons:
        if c.first is None or c.last is None:
            continue
        console.print(
            f"{c.topic}: first difference at {(c.first.stamp_ns - start) * 1e-9:.3f} s (stamp {c.first.stamp_ns} ns),"
            f" last at {(c.last.stamp_ns - start) * 1e-9:.3f} s"
        )
        console.print(f"  recorded {c.first.recorded or 'nothing'}\n  replayed {c.first.replayed or 'nothing'}")
