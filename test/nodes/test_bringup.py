# SPDX-License-Identifier: Apache-2.0
"""The manager of lifecycles against nodes that do not answer."""

import threading
from collections import Counter

import pytest
import rclpy
from lifecycle_msgs.msg import State, Transition, TransitionEvent
from lifecycle_msgs.srv import ChangeState
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node

from liquid_spike_control.errors import GraphError
from liquid_spike_control.nodes import bringup
from liquid_spike_control.nodes.bringup import GOALS, Bringup


class Mute(Node):
    """Changes its state as it is told, and does not answer before it is released.

    Args:
        tells: whether it publishes the events of its transitions.
    """

    def __init__(self, tells: bool) -> None:
        super().__init__("mute")
        self.released, self.asked = threading.Event(), Counter()
        self._events = self.create_publisher(TransitionEvent, "/mute/transition_event", 10) if tells else None
        group = ReentrantCallbackGroup()
        self.create_service(ChangeState, "/mute/change_state", self._change, callback_group=group)

    def _change(self, request, response):
        self.asked[request.transition.id] += 1
        if self._events:
            self._events.publish(TransitionEvent(goal_state=State(id=GOALS[request.transition.id])))
        self.released.wait(30)
        response.success = True
        return response


@pytest.fixture
def manage(ros_domain):
    """Makes a mute node that runs, and its manager."""
    rclpy.init()
    crowd, own = MultiThreadedExecutor(16), SingleThreadedExecutor()
    made, stopped = [], threading.Event()

    def spin():
        while not stopped.is_set():
            crowd.spin_once(timeout_sec=0.1)

    thread = threading.Thread(target=spin)

    def make(tells):
        mute, node = Mute(tells), Node("manager")
        made.extend((mute, node))
        crowd.add_node(mute)
        own.add_node(node)
        thread.start()
        manager = Bringup(node, own, ("mute",), lambda: None)
        wait = 5.0
        while wait > 0 and tells and not node.get_publishers_info_by_topic("/mute/transition_event"):
            own.spin_once(timeout_sec=0.1)
            wait -= 0.1
        return mute, manager

    yield make
    made[0].released.set()
    stopped.set()
    thread.join(10)
    for executor in (crowd, own):
        executor.shutdown()
    for node in made:
        node.destroy_node()
    rclpy.try_shutdown()


def test_the_event_of_a_transition_stands_in_for_an_answer_that_is_lost(manage, monkeypatch):
    monkeypatch.setattr(bringup, "CONFIGURE_TIMEOUT_S", 20.0)
    mute, manager = manage(tells=True)
    manager.up()
    assert set(mute.asked) == {Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE}


def test_a_node_that_gives_no_sign_is_asked_again_and_then_given_up(manage, monkeypatch):
    monkeypatch.setattr(bringup, "CONFIGURE_TIMEOUT_S", 2.0)
    mute, manager = manage(tells=False)
    with pytest.raises(GraphError, match="the nodes did not configure in 2 s"):
        manager.again("mute")
    assert 3 <= mute.asked[Transition.TRANSITION_CONFIGURE] <= 5  # every half second
