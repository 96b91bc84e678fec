# SPDX-License-Identifier: Apache-2.0
"""Run a recorded bag through the same models, and find the first message that differs.

    liquid-spike run pencil --mode lockstep --record run.mcap
    python examples/replay_bag.py run.mcap

Every message of the chain (spikes, estimates, commands, gated commands) is compared byte for byte, each with what its
stage makes of the recorded input, so the first difference is where it was made.
"""

import sys
from pathlib import Path

import liquid_spike_control as lsc


def main(path: str | Path) -> bool:
    """Replay a bag; returns whether every message is the recorded one."""
    outcome = lsc.replay(Path(path))
    start_ns = outcome.contents.commands[0].quantities.stamp_ns
    for topic in outcome.comparisons:
        print(f"{topic.topic:28} {topic.identical:6} identical {topic.differing:6} different")
    for note in outcome.notes:
        print(f"note: {note}")
    differences = [(topic.first.stamp_ns, topic.topic, topic.first) for topic in outcome.comparisons if topic.first]
    if differences:
        stamp_ns, topic, first = min(differences, key=lambda found: found[0])  # ties: the stage that comes first
        print(f"first difference: {topic} at {(stamp_ns - start_ns) * 1e-9:.3f} s")
        print(f"  recorded {first.recorded or 'nothing'}\n  replayed {first.replayed or 'nothing'}")
    return outcome.identical


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/replay_bag.py BAG")
    try:
        sys.exit(not main(sys.argv[1]))
    except lsc.LiquidSpikeError as error:
        sys.exit(str(error))
