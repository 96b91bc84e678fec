# SPDX-License-Identifier: Apache-2.0
"""Balance a pole from the events of a camera, in one process, without ROS.

    python examples/balance_pole.py [SECONDS]

An event camera watches a pole on a cart. A spiking network on the Loihi emulator estimates the pole's angle and rate, a
liquid controller chooses the force, the gate bounds it, MuJoCo moves the cart.
"""

import sys

import numpy as np

import liquid_spike_control as lsc


def main(duration_s: float = 10.0, seed: int = 1000) -> bool:
    """Run one episode; returns whether the pole stood to its end."""
    robot = lsc.robot_named("pencil")
    loop = lsc.new_loop(robot, duration_s=duration_s)
    errors, n_events = [], 0
    with loop.world as world:
        loop.reset(seed)
        while not world.over:
            record = loop.tick()  # one control period: sense, estimate, decide, gate, move
            errors.append(record.decision.estimate.values - record.truth)
            n_events += sum(map(len, record.sensing.events))
        success, elapsed_s = world.task.success, world.task.elapsed_s
    rms = np.sqrt(np.mean(np.square(errors), axis=0))
    print(f"{robot.success if success else robot.failure} for {elapsed_s:.1f} s on {n_events / elapsed_s:.0f} events/s")
    for estimate, error in zip(robot.estimates, rms, strict=True):
        print(f"{estimate.name}: rms error {error:.4f} {estimate.unit}")
    return success


if __name__ == "__main__":
    sys.exit(not main(*map(float, sys.argv[1:2])))
