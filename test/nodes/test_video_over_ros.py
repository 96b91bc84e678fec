# SPDX-License-Identifier: Apache-2.0
"""A video over ROS is that of the loop in one process, byte for byte; and a bag has all that it needs."""

import numpy as np
import pytest
from PIL import Image
from processes import run

from liquid_spike_control.options import ReplayOptions
from liquid_spike_control.records.entry import replay_command

EPISODE = ("pencil", "--seed", "5", "--duration", "0.6")


def frames(path) -> list[np.ndarray]:
    with Image.open(path) as image:
        return [np.asarray((image.seek(n), image.convert("RGB"))[1]) for n in range(image.n_frames)]


@pytest.mark.slow
def test_a_video_over_ros_and_of_a_bag(ros_domain, tmp_path):
    one, many, again, bag = (tmp_path / name for name in ("one.gif", "many.gif", "again.gif", "out.mcap"))
    alone = run(*EPISODE, "--in-process", "--video", str(one), timeout=110)
    assert alone.returncode == 0, alone.stderr
    over_ros = run(*EPISODE, "--mode", "lockstep", "--video", str(many), "--record", str(bag), timeout=110)
    assert over_ros.returncode == 0, over_ros.stderr
    assert one.read_bytes() == many.read_bytes()
    assert replay_command(ReplayOptions(bag, video=again)) == 0
    for a, b in zip(frames(one), frames(again), strict=True):
        # the title is the bag's; a GIF's palette is that of its own frames
        assert np.abs(a[30:].astype(int) - b[30:]).mean() < 1.0
