# SPDX-License-Identifier: Apache-2.0
"""The page of a run without a browser: solids, what is shown, the server, the link to the loop, the whole process."""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import mujoco
import numpy as np
import pytest

from liquid_spike_control.assembly import new_backend, new_loop, read_robot_perception
from liquid_spike_control.errors import OutputError, TaskError
from liquid_spike_control.neuromorphic.energy.estimate import estimate
from liquid_spike_control.robots.catalogue import descriptions, robot_named, task_named
from liquid_spike_control.types import EVENT, SpikeTrain
from liquid_spike_control.view.link import Link
from liquid_spike_control.view.pace import Pace
from liquid_spike_control.view.process import new_screen
from liquid_spike_control.view.sample import Facts, Order, Sample
from liquid_spike_control.view.screen import Screen
from liquid_spike_control.view.server import PageServer
from liquid_spike_control.view.solids import places, solids

ROOT = Path(__file__).resolve().parents[2]

# ---- solids ----

SHAPES = """
<mujoco>
  <asset><mesh name="m" vertex="0 0 0  1 0 0  0 2 0  0 0 3" scale="1 1 1"/></asset>
  <worldbody>
    <geom type="plane" size="2 3 .1"/><geom type="sphere" size=".5"/><geom type="capsule" size=".1 .4"/>
    <geom type="cylinder" size=".2 .3"/><geom type="ellipsoid" size=".1 .2 .3"/><geom type="box" size=".1 .2 .3"/>
    <geom type="mesh" mesh="m"/><geom type="sphere" size="1" rgba="1 0 0 0"/>
  </worldbody>
</mujoco>
"""


def volume(triangles: np.ndarray) -> float:
    return float(np.abs(np.einsum("ij,ij->i", triangles[:, 0], np.cross(triangles[:, 1], triangles[:, 2])).sum()) / 6)


def test_solids_have_the_size_of_their_geoms():
    model = mujoco.MjModel.from_xml_string(SHAPES)
    found = solids(model)
    assert [s["geom"] for s in found] == list(range(7)), "what cannot be seen is left out"
    expected = [None, 4 / 3 * np.pi * 0.125, np.pi * 0.01 * 0.8 + 4 / 3 * np.pi * 0.001, np.pi * 0.04 * 0.6,
                4 / 3 * np.pi * 0.006, 8 * 0.006, 1.0]  # fmt: skip
    for solid, size in zip(found, expected, strict=True):
        if size is None:
            assert np.abs(solid["triangles"]).max(axis=(0, 1)).tolist() == [2, 3, 0]
        else:
            assert volume(solid["triangles"]) == pytest.approx(size, rel=0.06), solid["geom"]
        assert np.allclose(np.linalg.norm(solid["normals"], axis=2), 1)


def test_places_are_where_mujoco_has_them():
    task = task_named("hover")
    task.reset(3)
    at = places(task.data, [1, 2])
    point = np.array([0.1, 0.2, 0.3])
    for row, geom in zip(at, (1, 2), strict=True):
        expected = task.data.geom_xpos[geom] + task.data.geom_xmat[geom].reshape(3, 3) @ point
        assert np.allclose(row[:3] + row[3:].reshape(3, 3) @ point, expected, atol=1e-6)


@pytest.mark.parametrize("name", [n for n in descriptions() if robot_named(n).controller])
def test_every_robot_can_be_shown(name):
    screen = Screen(robot_named(name), task_named(name))
    told = screen.describe()
    assert told["solids"] and told["bodies"] and told["robot"] == name
    json.dumps(told)


# ---- what people do ----


def test_a_push_changes_the_momentum_by_its_impulse():
    task = task_named("hover")
    task.reset(2)
    before = task.data.qvel[:3].copy()
    task.push("quadrotor", (0.06, 0.0, -0.12))
    assert np.allclose(task.data.qvel[:3] - before, np.array([0.06, 0, -0.12]) / 0.6, atol=1e-9)


def test_a_push_on_a_pole_turns_it_and_moves_the_cart():
    task = task_named("pencil")
    task.reset(1)
    task.data.qvel[:] = 0
    task.push("pole", (0.02, 0, 0))
    momentum = np.zeros((task.model.nv, task.model.nv))
    mujoco.mj_fullM(task.model, task.data, momentum)
    # along the rail nothing else acts: the momentum of cart and pole together is the impulse
    assert (momentum @ task.data.qvel)[0] == pytest.approx(0.02, abs=1e-12)
    assert task.data.qvel[1] > 0


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda task: task.push("nobody", (1, 0, 0)), "one of .*pole"),
        (lambda task: task.push("world", (1, 0, 0)), "one of .*pole"),
        (lambda task: task.push("pole", (np.nan, 0, 0)), "finite"),
        (lambda task: task.give_setpoint("speed", 1.0), "one of none"),
    ],
)
def test_what_cannot_be_done_is_refused(act, says):
    with pytest.raises(TaskError, match=says):
        act(task_named("pencil"))


def test_a_setpoint_is_observed(tmp_path):
    task = task_named(ROOT / "test/robots/car")
    task.reset(0)
    place = task.observation_names.index("target_speed")
    assert task.observe()[place] == 0.4
    task.give_setpoint("target_speed", 0.7)
    assert task.observe()[place] == 0.7
    with pytest.raises(TaskError, match="finite"):
        task.give_setpoint("target_speed", np.inf)


def test_a_pace_rests_until_a_tick_is_due_and_counts_those_that_came_too_late():
    pace, begin = Pace(0.02), time.monotonic()
    for tick in range(6):
        pace.rest(1.0 + 0.02 * tick)
    assert time.monotonic() - begin >= 0.1
    pace.begin()
    before = pace.missed
    pace.rest(2.0)
    time.sleep(0.05)  # of which 0.03 s are more than the period after the next tick was due
    pace.rest(2.0 + 1e-6)
    assert pace.missed == before + 1
    pace.begin()
    time.sleep(0.05)
    pace.rest(3.0)
    assert pace.missed == before + 1, "a pause is no delay"


def test_the_e_stop_of_a_loop_latches():
    with (loop := new_loop(robot_named("hover"))).world:
        loop.reset(0)
        assert loop.tick().decision.output.any()
        loop.press_e_stop()
        for _ in range(3):
            decision = loop.tick().decision
            assert decision.verdict.name == "E_STOP" and not decision.output.any()
        loop.release_e_stop()
        assert loop.tick().decision.verdict.name != "E_STOP"


# ---- what is shown ----


def test_the_screen_shows_what_it_was_given():
    """The raster is that of the loop's own backend; places, events and numbers are those of the samples."""
    robot = robot_named("pencil")
    screen = new_screen(robot, {}, None, None, True)
    screen.facts = Facts(seed=4)
    spikes, seen, given = [], [], []
    with (loop := new_loop(robot)).world as world:
        loop.reset(4)
        ran = loop.estimator.backend.run

        def kept(train):
            output = ran(train)
            given.append(train)
            spikes.append(output)
            return output

        loop.estimator.backend.run = kept
        for _ in range(30):
            sensing, truth, pose = loop.sensing, world.truth, world.task.pose()
            decision = loop.decide(sensing)
            seen.append(sensing.events[0])
            screen.add(
                Sample(
                    sensing.stamp_ns, pose.tolist(), [*sensing.readings.values, *truth],
                    decision.estimate.values.tolist(), decision.command.tolist(), decision.output.tolist(),
                    decision.verdict.name.lower(), sensing.events[0].tobytes(), 100.0,
                )
            )  # fmt: skip
            loop.advance(decision)
        world.task.take_pose(pose)
        expected = places(world.task.data, [s["geom"] for s in solids(world.task.model)])
    told = screen.update()
    assert len(told["ticks"]) == 30 and told["ticks"][-1][3] == decision.output.tolist()
    assert told["ticks"][-1][1][2:] == truth.tolist()
    assert sum(told["verdicts"].values()) == 30 and told["latency_us"] == [100.0, 100.0]
    assert np.array_equal(np.frombuffer(base64.b64decode(told["places"]), np.float32).reshape(-1, 12), expected)
    picture = np.frombuffer(base64.b64decode(told["events"]), np.int8).reshape(64, 64)
    every = np.concatenate(seen)
    last = {(e["x"], e["y"]): 1 if e["p"] > 0 else -1 for e in every}
    assert told["n_events"] == len(every) > 100
    assert {(x, y): picture[y, x] for y, x in zip(*np.nonzero(picture), strict=True)} == last
    # potentials, rates and power are those of the network that ran in the loop, on the same axon spikes
    parallel, axons = new_backend(loop.estimator.perception.model), SpikeTrain.from_steps(
        [train.step(k) for train in given for k in range(train.n_steps)]
    )  # fmt: skip
    ((name, probed),) = parallel.probe(axons).items()
    threshold = np.broadcast_to(parallel.network.populations[name].vth, probed.v.shape[1]) << 6
    assert len(told["potentials"]) == 3
    for layer, neuron, pairs in told["potentials"]:
        assert layer == name and len(pairs) == axons.n_steps == 145
        assert np.allclose([v for _, v in pairs], probed.v[:, neuron] / threshold[neuron], atol=1e-4)
        assert np.allclose([t for t, _ in pairs], np.arange(1, 146) * 1e-3)
    stats, seconds = loop.estimator.backend.stats(), 0.145
    assert told["work"]["rates"] == pytest.approx(
        {"input": len(axons.ids) / seconds, name: stats.spikes / seconds}
    )  # fmt: skip
    assert told["work"]["power"]["dynamic_w"] == pytest.approx(estimate(stats, 1e-3).dynamic_power)
    assert told["work"]["power"]["model"] == "davies2018" and told["work"]["power"]["static_w"] > 0
    assert told["work"]["synaptic_operations"] == pytest.approx(stats.synaptic_operations / seconds)
    fired = np.concatenate([s.ids for s in spikes])
    (layer,) = told["spikes"].values()
    assert sorted(n for _, n in layer) == sorted(fired.tolist()) and len(fired) > 20
    again = screen.update()
    assert again["ticks"] == [] and again["n_events"] == 0 and again["stamp_ns"] == told["stamp_ns"]


def test_neurons_are_chosen_and_others_let_go():
    screen = new_screen(robot_named("pencil"), {}, None, None, True)
    (layer, n), = screen.describe()["layers"].items()
    first = [neuron for _, neuron, _ in screen.update()["potentials"]]
    screen.watch(layer, first[0], False)
    for neuron in range(7):
        screen.watch(layer, neuron, True)
    assert [neuron for _, neuron, _ in screen.update()["potentials"]] == [first[2], *range(7)]
    for name, neuron, says in (("nobody", 0, layer), (layer, n, f"0 to {n - 1}"), (layer, 0.5, "0.5")):
        with pytest.raises(ValueError, match=says):
            screen.watch(name, neuron, True)
    with pytest.raises(ValueError, match="no spiking network"):
        Screen(robot_named("hover"), None).watch(layer, 0, True)


def test_the_wiring_is_the_network_s():
    screen = new_screen(robot_named("pencil"), {}, None, None, True)
    network = new_backend(read_robot_perception(robot_named("pencil"))).network
    told = screen.describe()["wiring"]
    assert told["sizes"] == {"input": network.n_inputs, **{n: p.n for n, p in network.populations.items()}}
    assert [(c["source"], c["target"], c["weights"]) for c in told["connections"]] == [
        (c.source, c.target, np.count_nonzero(c.weights)) for c in network.connections
    ]  # fmt: skip


def test_a_new_episode_begins_anew():
    screen = new_screen(robot_named("pencil"), {}, None, None, True)
    windows: list[int] = []
    perception = screen._network.perception
    encode = perception.encode

    def kept(events, stamp_ns):
        train = encode(events, stamp_ns)
        windows.append(train.n_steps)
        return train

    perception.encode = kept
    events = np.array([(10_003_000_000, 5, 5, 1)], EVENT)
    for stamp in (10_000_000_000, 5_000_000, 10_005_000_000, 10_010_000_000):
        screen.add(Sample(stamp, events=events.tobytes() if stamp == 10_005_000_000 else b""))
    # a gap of ten seconds would be ten thousand steps of the network, if it were no new episode
    assert windows == [0, 0, 5, 5] and perception.rejected == 0


# ---- the server ----


@contextmanager
def served(give=lambda order: None):
    with PageServer(Screen(robot_named("hover"), task_named("hover")), give) as page:
        yield page


def fetched(link, data=None, **headers):
    request = urllib.request.Request(link, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def test_only_the_link_opens_the_page():
    with served() as page:
        base = page.link.partition("?")[0]
        assert base.startswith("http://127.0.0.1:")
        for path in ("", "page.js", "description", "updates"):
            for query in ("", "?token=", "?token=wrong", f"?token={page.token[:-1]}"):
                assert fetched(f"{base}{path}{query}")[0] == 403, path + query
        assert fetched(f"{base}order", b'{"do": "stop"}')[0] == 403
        # a page of another site that has its name point here
        assert fetched(page.link, Host=f"evil.example:{page.port}")[0] == 403
        status, headers, body = fetched(page.link)
        assert status == 200 and b'<script src="/page.js?token=' + page.token.encode() in body
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store" and headers["Referrer-Policy"] == "no-referrer"
        told = json.loads(fetched(f"{base}description?token={page.token}")[2])
        assert told["robot"] == "hover" and len(told["commands"]) == 4
        assert fetched(f"{base}../setup.py?token={page.token}")[0] == 404


def test_it_listens_on_this_machine_only():
    with served() as page:
        assert page._server.server_address[0] == "127.0.0.1"
        with pytest.raises(OutputError, match=f"--port {page.port}.*give another"):
            PageServer(Screen(robot_named("hover"), None), lambda order: None, page.port)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "JSON"), (b"[1]", "object"), (b'{"do": "explode"}', "one of pause"), (b'{"do": 3}', "str"),
        (b'{"do": "push", "impulse": [1, 2]}', "3"), (b'{"do": "push", "impulse": [1e9, 0, 0]}', "at most"),
        (b'{"do": "setpoint", "value": 1e300}', "finite"), (b"x" * 5000, "no order"),
    ],
)  # fmt: skip
def test_what_is_no_order_is_refused(data, says):
    given = []
    with served(given.append) as page:
        status, _, body = fetched(page.link.replace("/?", "/order?"), data or b" ")
        assert status == 400 and (says in body.decode() or not data), body
    assert given == []


def test_orders_arrive():
    given = []
    with served(given.append) as page:
        order = b'{"do": "push", "body": "quadrotor", "impulse": [0.1, 0, 0]}'
        assert fetched(page.link.replace("/?", "/order?"), order)[0] == 200
    assert given == [Order("push", "quadrotor", (0.1, 0.0, 0.0))]


def test_updates_are_streamed():
    with served() as page:
        page._screen.add(Sample(1_000_000_000, task_named("hover").pose().tolist()))
        with urllib.request.urlopen(page.link.replace("/?", "/updates?"), timeout=10) as stream:
            told = json.loads(stream.readline().removeprefix(b"data: "))
            assert stream.readline() == b"\n"
    assert told["stamp_ns"] == 1_000_000_000 and told["places"]


# ---- the link ----


def pair() -> tuple[Link, Link]:
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Link(a), Link(b)


def test_samples_and_orders_cross():
    loop, view = pair()
    loop.send(Sample(5, [1.0], verdict="accepted", events=b"abc"), Facts(seed=3))
    ((sample, facts, lost),) = view.heard()
    assert (sample.stamp_ns, sample.pose, sample.events, facts.seed, lost) == (5, [1.0], b"abc", 3, 0)
    assert view.heard() == []
    view.ask(Order("pause"))
    assert loop.orders() == [Order("pause")] and loop.orders() == []
    loop.close()
    assert view.heard() == [] and view.broken


def test_a_view_that_does_not_listen_costs_the_loop_nothing():
    loop, view = pair()
    taken = []
    for tick in range(3000):
        began = time.perf_counter()
        loop.send(Sample(tick, [0.0] * 10, events=bytes(20_000)))
        loop.orders()
        taken.append(time.perf_counter() - began)
    assert loop.lost > 1000 and not loop.broken
    assert np.percentile(taken, 95) < 1e-3
    view.close()
    loop.send(Sample(0))
    loop.orders()
    assert loop.broken
    loop.send(Sample(0))  # and nothing happens


def test_a_sample_that_is_too_large_goes_without_its_events():
    loop, view = pair()
    loop.send(Sample(7, events=bytes(1_000_000)))
    ((sample, *_),) = view.heard()
    assert (sample.stamp_ns, sample.events) == (7, b"")


@pytest.mark.parametrize("happens", [lambda view: view.ask(Order("open")), lambda view: view.close()])
def test_a_loop_waits_until_its_page_is_there_or_will_never_be(happens):
    loop, view = pair()
    begun = time.monotonic()
    loop.wait(0.05)
    assert time.monotonic() - begun >= 0.05
    threading.Timer(0.05, happens, (view,)).start()
    loop.wait(60)
    assert time.monotonic() - begun < 30


# ---- the whole ----


@contextmanager
def viewed(*arguments):
    """``liquid-spike run ... --view``, and the link of its page."""
    command = [sys.executable, "-m", "liquid_spike_control", "run", *arguments, "--view"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    found: list[str] = []
    said = threading.Event()

    def read():
        for line in process.stderr:
            found.append(line)
            if "view: http" in line:
                said.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        assert said.wait(90), "".join(found)
        yield process, re.search(r"http\S+", next(line for line in found if "view: http" in line))[0]
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(20)
        reader.join(5)


class Watched:
    """The updates of a page, as they come."""

    def __init__(self, link: str) -> None:
        self.link = link
        self._stream = urllib.request.urlopen(link.replace("/?", "/updates?"), timeout=30)

    def until(self, holds, timeout=30.0):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            line = self._stream.readline()
            if line.startswith(b"data: ") and holds(told := json.loads(line[6:])):
                return told
        raise AssertionError("it did not come")

    def order(self, **what):
        assert fetched(self.link.replace("/?", "/order?"), json.dumps(what).encode())[0] == 200


def leaping(page):
    """Push the half-cheetah up until it leaps: one that falls just then is only stopped."""
    pushed = 0.0

    def leaps(told) -> bool:
        nonlocal pushed
        if time.monotonic() - pushed > 3:
            pushed = time.monotonic()
            page.order(do="push", body="torso", impulse=[0, 0, 60])
        # of a reading that is the velocity upwards [m/s]
        return any(tick[1][9] > 2.5 for tick in told["ticks"])

    return leaps


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_pause_step_push_and_e_stop_from_the_page():
    # a robot whose episode goes on whatever is done to it
    with viewed("half-cheetah", "--in-process", "--seed", "5") as (process, link):
        page = Watched(link)
        first = page.until(lambda told: told["stamp_ns"] > 200_000_000)
        assert first["facts"]["seed"] == 5 and first["places"]
        page.order(do="pause")
        still = page.until(lambda told: told["facts"]["paused"])
        time.sleep(0.5)
        stood = page.until(lambda told: told["facts"]["paused"] and not told["ticks"])
        assert stood["stamp_ns"] - still["stamp_ns"] <= 50_000_000
        page.order(do="step")
        page.until(lambda told: told["stamp_ns"] == stood["stamp_ns"] + 50_000_000)
        page.order(do="go")
        page.until(lambda told: not told["facts"]["paused"] and told["ticks"])
        page.until(leaping(page))
        page.order(do="push", body="nobody", impulse=[1, 0, 0])
        page.until(lambda told: "nobody" in told["facts"]["numbers"].get("refused", ""))
        page.order(do="stop")
        stopped = page.until(lambda told: told["facts"]["stopped"] and told["verdict"] == "e_stop")
        assert stopped["verdicts"]["e_stop"] >= 1
        page.order(do="release")
        page.until(lambda told: not told["facts"]["stopped"])
        pid = process.pid
        (view,) = children(pid)
    assert process.returncode == 130 and not Path(f"/proc/{view}").exists()


def test_killing_the_view_does_not_harm_the_run():
    with viewed("hover", "--in-process", "--seed", "5", "--duration", "4") as (process, _):
        (view,) = children(process.pid)
        os.kill(view, signal.SIGKILL)
        assert process.wait(30) in (0, 1)
        assert "4.00 of 4.00 s" in process.stdout.read()


def test_a_run_that_waits_for_its_page_begins_with_it_or_ends_with_ctrl_c():
    with viewed("hover", "--in-process", "--seed", "5", "--duration", "4") as (process, link):
        time.sleep(2)
        assert Watched(link).until(lambda told: told["ticks"])["ticks"][0][0] < 0.5
        assert process.wait(30) in (0, 1)
    with viewed("hover", "--in-process") as (process, _):
        pass
    assert process.returncode == 130


@pytest.mark.slow
def test_watching_changes_no_command(tmp_path):
    run, shas = ("pencil", "--in-process", "--seed", "5", "--duration", "1", "--json"), []
    alone, watched = tmp_path / "alone.json", tmp_path / "watched.json"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    subprocess.run([sys.executable, "-m", "liquid_spike_control", "run", *run, str(alone)], env=environment,
                   timeout=100, capture_output=True, check=True)  # fmt: skip
    with viewed(*run, str(watched)) as (process, link):
        Watched(link).until(lambda told: told["ticks"])
        assert process.wait(60) == 0
    for out in (alone, watched):
        shas.append(json.loads(out.read_text())["commands_sha256"])
    assert shas[0] == shas[1]
