# SPDX-License-Identifier: Apache-2.0
"""The manager of lifecycles against nodes that do not answer."""

import threading
from collections import Counter

import pytest
import rclpy
from lifecycle_msgs.msg import State, Transition, TransitionEvent
from lifecycle_msgs.srv import ChangeState, GetState
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
        state: that it is in at the start.
    """

    def __init__(self, tells: bool, state: int = State.PRIMARY_STATE_UNCONFIGURED) -> None:
        super().__init__("mute")
        self.state = state
        self.released, self.asked = threading.Event(), Counter()
        self._events = self.create_publisher(TransitionEvent, "/mute/transition_event", 10) if tells else None
        group = ReentrantCallbackGroup()
        self.create_service(ChangeState, "/mute/change_state", self._change, callback_group=group)
        self.create_service(GetState, "/mute/get_state", self._tell_state, callback_group=group)

    def _tell_state(self, _request, response):
        response.current_state.id = self.state
        return response

    def _change(self, request, response):
        self.asked[request.transition.id] += 1
        if self.released.is_set() and self.state in GOALS[request.transition.id]:
            response.success = False  # as a node that is there already refuses to go there
            return response
        self.state = GOALS[request.transition.id][0]
        if self._events:
            self._events.publish(TransitionEvent(goal_state=State(id=self.state)))
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

    def make(tells, **options):
        mute, node = Mute(tells, **options), Node("manager")
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


@pytest.mark.real_time
def test_the_event_of_a_transition_stands_in_for_an_answer_that_is_lost(manage, monkeypatch):
    monkeypatch.setattr(bringup, "CONFIGURE_TIMEOUT_S", 20.0)
    mute, manager = manage(tells=True)
    manager.up()
    assert set(mute.asked) == {Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE}


@pytest.mark.real_time
def test_a_node_that_gives_no_sign_is_asked_again_and_then_given_up(manage, monkeypatch):
    monkeypatch.setattr(bringup, "CONFIGURE_TIMEOUT_S", 2.0)
    mute, manager = manage(tells=False)
    with pytest.raises(GraphError, match="the nodes did not configure in 2 s"):
        manager.again("mute")
    assert 3 <= mute.asked[Transition.TRANSITION_CONFIGURE] <= 5  # every half second


class Forgetful(Mute):
    """Makes its first transition and never answers: the answer is lost."""

    def _change(self, request, response):
        first = not self.asked
        self.released.set()
        response = super()._change(request, response)
        if first:
            threading.Event().wait(5)
        return response


@pytest.mark.real_time
def test_where_an_answer_is_lost_the_node_is_asked_again_and_what_counts_is_its_state(manage, monkeypatch):
    """The second answer is a refusal, because the node is configured already."""
    monkeypatch.setattr(bringup, "INSIST_S", 0.5)
    monkeypatch.setattr(bringup, "CONFIGURE_TIMEOUT_S", 4.0)
    monkeypatch.setitem(globals(), "Mute", Forgetful)
    mute, manager = manage(tells=False)
    manager.up()
    assert mute.asked[Transition.TRANSITION_CONFIGURE] == 2
    assert mute.state == State.PRIMARY_STATE_ACTIVE


@pytest.mark.real_time
def test_nodes_that_are_active_are_left_alone_and_not_brought_down(manage):
    mute, manager = manage(tells=True, state=State.PRIMARY_STATE_ACTIVE)
    mute.released.set()
    manager.up()
    manager.down()
    assert not mute.asked
    assert mute.state == State.PRIMARY_STATE_ACTIVE


@pytest.mark.real_time
def test_what_it_activated_is_brought_down_once(manage):
    mute, manager = manage(tells=True, state=State.PRIMARY_STATE_INACTIVE)
    mute.released.set()
    manager.up()
    manager.down()
    manager.down()
    assert mute.asked == {Transition.TRANSITION_ACTIVATE: 1, Transition.TRANSITION_DEACTIVATE: 1}


class Late(Mute):
    """Activates at the third attempt: the robot is not there before."""

    def _change(self, request, response):
        if request.transition.id == Transition.TRANSITION_ACTIVATE and self.asked[request.transition.id] < 2:
            self.asked[request.transition.id] += 1
            response.success = False
            return response
        return super()._change(request, response)


@pytest.mark.real_time
@pytest.mark.parametrize(("wait_s", "comes"), [(20.0, True), (0.0, False)])
def test_activation_is_tried_again_while_the_robot_is_waited_for(manage, monkeypatch, wait_s, comes):
    monkeypatch.setattr(bringup, "RETRY_S", 0.1)
    monkeypatch.setitem(globals(), "Mute", Late)
    mute, manager = manage(tells=True)
    mute.released.set()
    if comes:
        manager.up(wait_s=wait_s)
        assert mute.asked[Transition.TRANSITION_ACTIVATE] == 3
        assert mute.state == State.PRIMARY_STATE_ACTIVE
    else:
        with pytest.raises(GraphError, match="mute could not activate"):
            manager.up(wait_s=wait_s)
        assert mute.asked[Transition.TRANSITION_ACTIVATE] == 1
