# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike view BAG``: a page about a recorded run, in this process."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..robots.catalogue import robot_named
from ..terminal import visible
from ..view.player import ORDERS, Player, play
from ..view.server import PageServer
from .recorded_run import RecordedRun

if TYPE_CHECKING:
    from ..options import ViewOptions

#: Between two looks at the clock [s].
PERIOD_S = 0.02


def view_bag_command(options: ViewOptions) -> int:
    """Serve the page until Ctrl-C.

    Raises:
        LiquidSpikeError: the bag, the robot, a model or an option is wrong.
    """
    robot = robot_named(options.robot) if options.robot else None
    run = RecordedRun(Path(options.source), robot, options.perception_model)
    for note in run.playback.notes:
        print(visible(f"view: {note}"), file=sys.stderr)
    player = Player(run)
    with PageServer(run.screen, player.give, options.port, ORDERS) as page:
        print(f"view: {page.link}", file=sys.stderr, flush=True)
        try:
            play(player, PERIOD_S, page)
        except KeyboardInterrupt:
            pass
    return 0
