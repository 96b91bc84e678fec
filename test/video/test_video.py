# SPDX-License-Identifier: Apache-2.0
"""Moving pictures: what is in them is compared with the run that they are of."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from liquid_spike_control.bench.episodes import run_episode
from liquid_spike_control.bench.robot import RobotBenchmark, film_first
from liquid_spike_control.errors import TaskError
from liquid_spike_control.history import History
from liquid_spike_control.nodes.graph import GraphOptions
from liquid_spike_control.nodes.in_process import run
from liquid_spike_control.nodes.progress import Progress
from liquid_spike_control.options import RunOptions
from liquid_spike_control.robots.catalogue import descriptions, robot_named, task_named
from liquid_spike_control.terminal import Console
from liquid_spike_control.types import EVENT
from liquid_spike_control.video.charts import Charts
from liquid_spike_control.video.encoding import encode
from liquid_spike_control.video.film import film
from liquid_spike_control.video.frames import BRIGHTER, DARK, DARKER, HEADER, HEIGHT, SCENE_WIDTH, WIDTH, Frames
from liquid_spike_control.video.frames import event_picture as picture_of

ROOT = Path(__file__).resolve().parents[2]
SEED, DURATION_S = 5, 0.6


def recorded(name="pencil", posed=True, duration_s=DURATION_S):
    options = GraphOptions(robot=name, seed=SEED, duration_s=duration_s)
    return run(options, Progress(Console(stderr=True)), keep=posed, posed=posed)


@pytest.fixture(scope="module")
def pencil_run():
    return recorded()


def frames_of(history, rate_hz=12.5, **options):
    task = task_named(history.robot.name)
    task.set_duration(DURATION_S)
    task.reset(SEED)
    return Frames(history, task, "a title", rate_hz, **options)


def test_a_benchmark_s_video_is_of_the_run(pencil_run, tmp_path):
    """What a benchmark keeps of an episode is what `run` keeps of it, and the video is drawn of it."""
    history, report = pencil_run
    benchmark = RobotBenchmark(
        "pencil", range(SEED, SEED + 1), ("cfc_loihi",), duration_s=DURATION_S, jobs=1, rendered=True
    )
    kept = History(benchmark.robot)
    loop = benchmark.loop("cfc_loihi")
    try:
        figures = run_episode(loop, SEED, kept)
    finally:
        loop.world.close()
    assert figures.success == report.success
    assert (kept.truth, kept.estimates, kept.commands) == (history.truth, history.estimates, history.commands)
    assert {t: pose.tobytes() for t, pose in kept.poses.items()} == {t: p.tobytes() for t, p in history.poses.items()}
    assert [events.tobytes() for events in kept.events] == [events.tobytes() for events in history.events]
    assert [(start, ids.tolist()) for start, _, ids in kept.spikes] == [
        (start, ids.tolist()) for start, _, ids in history.spikes
    ]  # fmt: skip
    film_first(benchmark, tmp_path / "bench.gif", Console(stderr=True))
    title = f"pencil, cfc_loihi, seed {SEED}: balanced"
    film(history, tmp_path / "run.gif", title, SEED, DURATION_S)
    assert (tmp_path / "bench.gif").read_bytes() == (tmp_path / "run.gif").read_bytes()


# ---- poses ----


@pytest.mark.parametrize("name", [n for n in descriptions() if robot_named(n).controller])
def test_a_pose_brings_another_scene_to_the_same_place(name):
    task, other = task_named(name), task_named(name)
    task.reset(7)
    other.reset(7)
    for _ in range(20):
        task.advance(task.most * 0.3, task.period_s)
    pose = task.pose()
    other.take_pose(pose)
    assert other.pose().tobytes() == pose.tobytes()
    task.take_pose(pose)  # the bodies to where the joints are
    assert np.array_equal(other.data.xpos, task.data.xpos)
    assert np.array_equal(other.data.geom_xpos, task.data.geom_xpos)


@pytest.mark.parametrize("pose", [np.zeros(2), np.zeros(40), np.array([0.0, np.nan, 0.0])])
def test_a_pose_of_another_scene_is_refused(pose):
    with pytest.raises(TaskError, match="give the run's robot"):
        task_named("pencil").take_pose(pose)


# ---- what is drawn ----


def test_the_pole_leans_in_the_picture_as_it_did_in_the_run(pencil_run):
    history, _ = pencil_run
    stamps = np.array(sorted(history.truth))
    leans, true = [], []
    for number, frame in enumerate(frames_of(history)):
        scene = frame[HEADER : HEADER + 216, :SCENE_WIDTH].astype(int)
        rows, columns = np.nonzero((scene.min(axis=2) > 200) & (np.arange(216)[:, None] < 125))
        assert len(rows) > 40, "no pole"
        slope = np.polyfit(rows, columns, 1)[0]
        leans.append(np.degrees(np.arctan(-slope)))
        latest = stamps[stamps <= stamps[0] + round(number / 12.5 * 1e9)][-1]
        true.append(np.degrees(history.truth[int(latest)][history.n_seen]))
    assert np.ptp(true) > 3, "the run has too little in it for this test"
    assert np.abs(np.subtract(leans, true)).max() < 1.0


def test_events_are_pixels():
    events = np.array([(10, 1, 2, 1), (20, 1, 2, 0), (30, 3, 0, 1), (40, 9, 9, 1)], EVENT)
    picture = picture_of(events, 4, 3)
    assert picture.shape == (3, 4, 3)
    assert tuple(picture[2, 1]) == DARKER and tuple(picture[0, 3]) == BRIGHTER
    assert (picture == DARK).all(axis=2).sum() == 10


def test_the_event_camera_s_picture_is_of_the_events_before_the_frame(pencil_run):
    history, _ = pencil_run
    frames = list(frames_of(history))
    events = np.concatenate(history.events)
    now = min(history.truth) + round(5 / 12.5 * 1e9)
    seen = events[(events["t"] > now - 30_000_000) & (events["t"] <= now)]
    expected = picture_of(seen, 64, 64)
    top, factor = HEADER + 216 + 8, (HEIGHT - HEADER - 216 - 8) / 64
    # the middle of each pixel of the camera
    places = ((np.arange(64) + 0.5) * factor).astype(int)
    assert np.array_equal(frames[5][top + places[:, None], places], expected)
    assert (expected != DARK).any()


def test_the_charts_uncover_what_has_happened(pencil_run):
    history, _ = pencil_run
    charts = Charts(history, 400, 420)
    page = charts.page(0.3)
    assert page.full.shape == page.blank.shape == (420, 400, 3)
    middle = round(page.left + (page.right - page.left) * 0.3 / (page.end_s - page.start_s))
    drawn = page.at(0.3)
    assert np.array_equal(drawn[:, :middle], page.full[:, :middle])
    assert np.array_equal(drawn[:, middle + 2 :], page.blank[:, middle + 2 :])
    inside = slice(round(page.left) + 2, round(page.right) - 2)
    assert (page.full[:, inside] != page.blank[:, inside]).any()
    assert np.array_equal(page.full[:, : round(page.left) - 2], page.blank[:, : round(page.left) - 2]), "labels moved"


def test_a_long_run_has_several_pages():
    history = History(robot_named("hover"))
    for tick in range(1201):
        history.truth[10**9 + tick * 20_000_000] = (0.0,) * 12
        history.commands[10**9 + tick * 20_000_000] = (0.0,) * 4
    charts = Charts(history, 400, 420)
    assert [(charts.page(t).start_s, charts.page(t).end_s) for t in (0.0, 11.0, 24.0)] == [(0, 10), (10, 20), (20, 24)]


@pytest.mark.parametrize("name", ["hover", "half-cheetah", "pencil-hard"])
def test_every_kind_of_robot_is_drawn(name, tmp_path):
    history, _ = recorded(name, duration_s=0.4)
    frames = frames_of(history, width=640)
    made = list(frames)
    assert len(made) == len(frames) and {f.shape for f in made} == {(360, 640, 3)}
    scene = made[-1][30:, :300].astype(int)
    assert scene.std() > 5, "an empty scene"


# ---- files ----


def moving_square():
    for number in range(12):
        frame = np.full((40, 60, 3), 255, np.uint8)
        frame[10:20, 3 * number : 3 * number + 10] = (31, 119, 180)
        yield frame


def test_a_gif_is_what_was_drawn(tmp_path):
    encode(tmp_path / "a.gif", moving_square(), 12.5, [(31, 119, 180)])
    with Image.open(tmp_path / "a.gif") as image:
        assert (image.n_frames, image.size, image.info["duration"], image.info["loop"]) == (12, (60, 40), 80, 0)
        for number, frame in enumerate(moving_square()):
            image.seek(number)
            assert np.array_equal(np.asarray(image.convert("RGB")), frame), number


def test_an_mp4_is_what_was_drawn(tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    encode(tmp_path / "a.mp4", moving_square(), 25.0)
    reader = ffmpeg.read_frames(str(tmp_path / "a.mp4"))
    about = next(reader)
    assert (about["fps"], about["size"], about["codec"]) == (25.0, (60, 40), "h264")
    read = [np.frombuffer(data, np.uint8).reshape(40, 60, 3).astype(int) for data in reader]
    assert len(read) == 12
    for found, drawn in zip(read, moving_square(), strict=True):
        assert np.abs(found - drawn).mean() < 6


def test_a_failure_leaves_no_file(tmp_path):
    def broken():
        yield from list(moving_square())[:3]
        raise ZeroDivisionError

    for suffix in ("gif", "mp4"):
        with pytest.raises(ZeroDivisionError):
            encode(tmp_path / f"a.{suffix}", broken(), 25.0)
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_a_tick_is_refused(tmp_path):
    with pytest.raises(TaskError, match="no tick"):
        film(History(robot_named("hover")), tmp_path / "a.gif", "", 0)


def test_other_suffixes_are_refused_before_the_run(tmp_path):
    with pytest.raises(TaskError, match="give one of .gif, .mp4"):
        RunOptions(video=tmp_path / "a.avi")


# ---- the command ----


def liquid_spike(*arguments, blocked="no_such_package"):
    command = [sys.executable, str(ROOT / "test/without_ros.py"), blocked, *arguments]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    return subprocess.run(command, capture_output=True, text=True, timeout=110, cwd=ROOT, env=environment)


def test_a_video_changes_no_command(pencil_run):
    _, with_video = pencil_run
    _, without = recorded(posed=False)
    assert with_video.commands_sha256 == without.commands_sha256
    assert with_video.ticks == without.ticks == 120


def test_run_writes_a_gif_without_any_extra(tmp_path):
    out = tmp_path / "a.gif"
    done = liquid_spike(
        "run", "pencil", "--in-process", "--duration", "0.3", "--video", str(out), blocked="imageio_ffmpeg"
    )
    assert done.returncode == 0, done.stderr
    with Image.open(out) as image:
        assert image.n_frames == 4 and image.size == (WIDTH, HEIGHT)


def test_an_mp4_without_its_extra_is_refused_in_a_line_before_the_run(tmp_path):
    out = str(tmp_path / "a.mp4")
    done = liquid_spike("run", "pencil", "--in-process", "--video", out, blocked="imageio_ffmpeg")
    assert done.returncode == 2 and not done.stdout
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("liquid-spike: ") and "pip install 'liquid_spike_control[video]'" in line


def test_a_real_robot_has_no_scene_to_film(tmp_path):
    done = liquid_spike("run", "pencil", "--real", "--video", str(tmp_path / "a.gif"))
    assert done.returncode == 2 and "leave --real out" in done.stderr


def test_the_gallery_is_small_and_has_every_robot():
    shown = {path.stem: path.stat().st_size for path in (ROOT / "docs/gallery").glob("*.gif")}
    assert set(shown) == {name.replace("-", "_") for name in descriptions()}
    assert max(shown.values()) < 1_000_000
