# SPDX-License-Identifier: Apache-2.0
"""The event camera against its equations."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_spike_control.errors import TaskError
from liquid_spike_control.events.camera import EventCamera, EventCameraModel, log_intensity
from liquid_spike_control.types import EVENT

WIDTH, HEIGHT = 7, 5
QUIET = dict(shot_noise_hz=0.0, leak_hz=0.0)
MS = 1_000_000


def run(model, frames, stamps, seed=1):
    camera = EventCamera(model)
    camera.reset(frames[0], stamps[0], seed)
    steps = [camera.step(f, t) for f, t in zip(frames[1:], stamps[1:], strict=True)]
    return camera, np.concatenate(steps) if steps else np.empty(0, EVENT)


def moving(n, width=WIDTH, height=HEIGHT, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 255, (n, height, width)).astype(np.float32)


def test_photoreceptor_is_logarithmic_above_and_linear_below():
    intensity = np.concatenate([np.linspace(0, 255, 4001), np.geomspace(20, 1e6, 999)]).reshape(2, -1)
    exact = np.where(intensity > 20, np.log(np.maximum(intensity, 1)), intensity * math.log(20) / 20)
    log = log_intensity(intensity)
    assert log.dtype == np.float32 and log.shape == intensity.shape
    np.testing.assert_allclose(log, exact, rtol=3e-7, atol=1e-7)
    np.testing.assert_array_equal(
        log_intensity(intensity, stray_light=8), log_intensity(intensity.astype("f4") + 8)
    )


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 6), st.sampled_from([1, 999, MS, 10**9]), st.floats(0, 0.1))
def test_events_are_the_crossings(seed, n_steps, step_ns, mismatch):
    """Replay: at each event the interpolated log intensity has just moved by the pixel's threshold."""
    frames = moving(n_steps + 1, seed=seed)
    stamps = [10**9 + k * step_ns for k in range(n_steps + 1)]
    model = EventCameraModel(WIDTH, HEIGHT, threshold_mismatch=mismatch, refractory_ns=0, **QUIET)
    camera, events = run(model, frames, stamps, seed)
    assert np.all(np.diff(events["t"]) >= 0)
    log = camera.log_intensity(frames).astype(float)
    theta_on, theta_off = camera.thresholds
    for y in range(HEIGHT):
        for x in range(WIDTH):
            memory = log[0, y, x]
            mine = events[(events["x"] == x) & (events["y"] == y)]
            for event in mine:
                up = event["p"] == 1
                memory += theta_on[y, x] if up else -theta_off[y, x]
                level = np.interp(event["t"] - stamps[0], np.array(stamps) - stamps[0], log[:, y, x])
                one_ns_later = 6.0 / step_ns  # times are rounded up to nanoseconds
                assert -1e-4 - one_ns_later < memory - level < 1e-4 + one_ns_later
            assert -theta_off[y, x] - 1e-4 < log[-1, y, x] - memory < theta_on[y, x] + 1e-4


def test_events_of_a_step_are_its_own():
    model = EventCameraModel(WIDTH, HEIGHT, refractory_ns=0, shot_noise_hz=1000, leak_hz=50)
    camera = EventCamera(model)
    frames = moving(30)
    camera.reset(frames[0], 5 * MS, 3)
    for k in range(1, 30):
        events = camera.step(frames[k], (5 + k) * MS)
        assert len(events) and np.all(events["t"] > (4 + k) * MS) and np.all(events["t"] <= (5 + k) * MS)


def test_a_still_picture_is_silent():
    frames = [moving(1)[0]] * 5
    assert len(run(EventCameraModel(WIDTH, HEIGHT, **QUIET), frames, range(0, 5 * MS, MS))[1]) == 0


def test_many_events_are_sorted_and_kept():
    """Enough events for the radix sort and for the buffer to grow; every pixel climbs by the same amount."""
    n = 64
    model = EventCameraModel(n, n, contrast_threshold=0.05, threshold_mismatch=0, refractory_ns=0, **QUIET)
    before, after = np.full((n, n), 30, np.float32), np.full((n, n), 200, np.float32)
    _, events = run(model, [before, after], [0, 3 * MS])
    assert len(events) == n * n * math.floor(math.log(200 / 30) / 0.05)
    assert np.all(np.diff(events["t"]) >= 0) and np.all(events["p"] == 1)
    first = events[: n * n]
    assert np.all(first["t"] == first["t"][0])
    assert np.array_equal(first["y"].astype(int) * n + first["x"], np.arange(n * n))


def test_refractory_period_drops_what_follows_too_soon():
    frames, stamps = moving(20), [k * MS for k in range(20)]
    _, all_events = run(EventCameraModel(WIDTH, HEIGHT, refractory_ns=0, **QUIET), frames, stamps)
    _, sent = run(EventCameraModel(WIDTH, HEIGHT, refractory_ns=400_000, **QUIET), frames, stamps)
    last, expected = {}, []
    for t, x, y, p in all_events.tolist():
        if t - last.get((x, y), -(10**9)) >= 400_000:
            last[x, y] = t
            expected.append((t, x, y, p))
    assert sent.tolist() == expected and len(expected) < len(all_events)


def test_leak_drifts_on_at_its_rate_in_a_still_picture():
    model = EventCameraModel(40, 40, leak_hz=10, threshold_mismatch=0, shot_noise_hz=0)
    frames = [np.full((40, 40), 100, np.float32)] * 101
    _, events = run(model, frames, [k * 10 * MS for k in range(101)])
    assert np.all(events["p"] == 1)
    counts = np.bincount(events["y"].astype(int) * 40 + events["x"], minlength=1600)
    assert counts.min() >= 9 and counts.max() <= 11 and abs(counts.mean() - 10) < 0.1
    one = events["t"][(events["x"] == 3) & (events["y"] == 4)]
    np.testing.assert_allclose(np.diff(one), 100 * MS, atol=1000)
    phases = events["t"][events["t"] <= 100 * MS] / (100 * MS)
    assert abs(phases.mean() - 0.5) < 0.05


def test_shot_noise_is_poisson_and_does_not_depend_on_the_frames():
    model = EventCameraModel(50, 40, shot_noise_hz=5, leak_hz=0, refractory_ns=0)
    frame = np.full((40, 50), 100, np.float32)
    _, fine = run(model, [frame] * 1001, [k * MS for k in range(1001)])
    _, coarse = run(model, [frame] * 11, [k * 100 * MS for k in range(11)])
    assert fine.tolist() == coarse.tolist()
    expected = 5 * 2000
    assert abs(len(fine) - expected) < 5 * math.sqrt(expected)
    assert abs(fine["p"].mean() - 0.5) < 0.03
    per_column = np.bincount(fine["x"], minlength=50)
    assert abs(per_column.var() / per_column.mean() - 1) < 0.8
    gaps = np.diff(fine["t"])
    assert abs(gaps.std() / gaps.mean() - 1) < 0.1


def test_hot_pixels_are_few_and_fast():
    model = EventCameraModel(50, 40, hot_pixel_fraction=0.01, hot_pixel_hz=200, refractory_ns=0, **QUIET)
    frame = np.full((40, 50), 100, np.float32)
    _, events = run(model, [frame] * 11, [k * 100 * MS for k in range(11)])
    pixels, counts = np.unique(events["y"].astype(int) * 50 + events["x"], return_counts=True)
    assert len(pixels) == 20 and np.all(events["p"] == 1)
    assert np.all(np.abs(counts - 200) < 6 * math.sqrt(200))


def test_low_pass_delays_by_its_time_constant():
    """The first event of a step in light, against the exponential approach."""
    model = EventCameraModel(2, 2, threshold_mismatch=0, cutoff_hz=50, **QUIET)
    camera = EventCamera(model)
    camera.reset(np.full((2, 2), 100, np.float32), 0, 1)
    frame, t, events = np.full((2, 2), 200, np.float32), 0, []
    while len(events) == 0:
        t += 20_000
        events = camera.step(frame, t)
    tau_s = 275 / (2 * math.pi * 50 * (200 + 20))
    expected_s = -tau_s * math.log(1 - 0.2 / math.log(2))
    assert abs(t * 1e-9 / expected_s - 1) < 0.02


def test_a_fast_low_pass_loses_nothing():
    frames, stamps = moving(10), [k * MS for k in range(10)]
    sharp = run(EventCameraModel(WIDTH, HEIGHT, **QUIET), frames, stamps)[1]
    fast = run(EventCameraModel(WIDTH, HEIGHT, cutoff_hz=1e9, **QUIET), frames, stamps)[1]
    assert abs(len(fast) - len(sharp)) <= 0.01 * len(sharp)


@pytest.mark.parametrize("leak_hz", [0.01, 1.0, 10.0])
def test_a_camera_does_not_go_blind_in_24_hours(leak_hz):
    """A day in steps of 10 s, the state never reset: leak events keep their rate, and a contrast gives its events."""
    model = EventCameraModel(3, 2, threshold_mismatch=0, shot_noise_hz=0, leak_hz=leak_hz, refractory_ns=0)
    camera = EventCamera(model)
    dark, bright = np.full((2, 3), 40, np.float32), np.full((2, 3), 200, np.float32)
    camera.reset(dark, 0, 1)
    hours = np.zeros(24)
    for k in range(8640):
        events = camera.step(dark, (k + 1) * 10 * 10**9)
        hours[k // 360] += len(events)
        assert np.all(np.diff(events["t"]) >= 0) and np.all(events["p"] == 1)
    np.testing.assert_allclose(hours, leak_hz * 3600 * 6, rtol=2e-3, atol=6)
    now = 86_400 * 10**9
    for frame, sign in ((bright, 1), (dark, 0)):
        now += 1000
        events = camera.step(frame, now)
        assert set(events["p"].tolist()) == {sign}
        # ln 5 is 8.05 thresholds; where the pixel stands in its own threshold decides whether it is 7, 8 or 9
        assert set(np.bincount(events["x"] + 3 * events["y"], minlength=6).tolist()) <= {7, 8, 9}


def test_a_step_of_24_hours_is_many_short_ones():
    """Skipped in time, not in state: the same events as in steps of one second, within what float32 can tell."""
    model = EventCameraModel(3, 2, shot_noise_hz=0.001, leak_hz=0.05)
    frames = moving(2, 3, 2)
    skipped, stepped = EventCamera(model), EventCamera(model)
    skipped.reset(frames[0], 0, 1)
    stepped.reset(frames[0], 0, 1)
    at_once = skipped.step(frames[0], 86_400 * 10**9)
    by_steps = np.concatenate([stepped.step(frames[0], k * 10**9) for k in range(1, 86_401)])
    assert len(at_once) > 0.9 * 86_400 * 6 * 0.05
    assert abs(len(at_once) - len(by_steps)) <= 12
    ones = [camera.step(frames[1], 86_400 * 10**9 + MS) for camera in (skipped, stepped)]
    assert abs(len(ones[0]) - len(ones[1])) <= 3 and min(map(len, ones)) > 0


def test_the_low_pass_does_not_depend_on_the_frame_interval():
    """A step of light seen after 1 ms: as one frame or as 100, it is the exponential, so the count is the same."""
    fine = dict(threshold_mismatch=0, contrast_threshold=0.01, refractory_ns=0)
    model = EventCameraModel(4, 4, cutoff_hz=300, **fine, **QUIET)
    expected = math.log(4) * (1 - math.exp(-2 * math.pi * 300 * 1e-3 * 220 / 275)) / 0.01
    for n in (1, 10, 100):
        camera = EventCamera(model)
        camera.reset(np.full((4, 4), 50, np.float32), 0, 1)
        bright = np.full((4, 4), 200, np.float32)
        count = sum(len(camera.step(bright, MS * (k + 1) // n)) for k in range(n))
        assert abs(count / 16 - expected) <= 1, n


def test_stray_light_takes_contrast():
    frames, stamps = moving(10), [k * MS for k in range(10)]
    plain = run(EventCameraModel(WIDTH, HEIGHT, **QUIET), frames, stamps)[1]
    veiled = run(EventCameraModel(WIDTH, HEIGHT, stray_light=50, **QUIET), frames, stamps)[1]
    by_hand = run(EventCameraModel(WIDTH, HEIGHT, **QUIET), frames + np.float32(50), stamps)[1]
    assert len(veiled) < 0.9 * len(plain)
    assert veiled.tolist() == by_hand.tolist()


@pytest.mark.parametrize("cutoff_hz", [None, 200.0])
def test_same_seed_same_bytes_from_frames_or_from_tables(cutoff_hz):
    model = EventCameraModel(
        30, 20, shot_noise_hz=20, leak_hz=1, hot_pixel_fraction=0.02, stray_light=3, cutoff_hz=cutoff_hz
    )
    frames, stamps = moving(40, 30, 20), [k * MS for k in range(40)]
    camera, one = run(model, frames, stamps, seed=7)
    assert one.tolist() == run(model, frames, stamps, seed=7)[1].tolist()
    assert one.tolist() != run(model, frames, stamps, seed=8)[1].tolist()

    table = camera.log_intensity(frames)
    camera.reset_log(table[0], stamps[0], 7)  # the camera was used before: nothing of it may remain
    again = np.concatenate([camera.step_log(f, t) for f, t in zip(table[1:], stamps[1:], strict=True)])
    assert again.tolist() == one.tolist()


def test_records_have_no_stray_bytes():
    camera = EventCamera(EventCameraModel(WIDTH, HEIGHT))
    frames = moving(2)
    camera.reset(frames[0], 0, 1)
    raw = camera.step(frames[1], MS).view(np.uint8).reshape(-1, EVENT.itemsize)
    assert len(raw) and not raw[:, 13:].any()


def test_thresholds_are_drawn_as_asked():
    camera = EventCamera(EventCameraModel(100, 100, contrast_threshold=0.3, threshold_mismatch=0.05))
    camera.reset(np.zeros((100, 100)), 0, 5)
    for theta in camera.thresholds:
        assert abs(theta.mean() - 0.3) < 0.003 and abs(theta.std() - 0.05) < 0.003
    assert not np.array_equal(*camera.thresholds)


def test_nonsense_intensities_do_no_harm():
    model = EventCameraModel(WIDTH, HEIGHT)
    frames = moving(6)
    frames[1, 0, 0], frames[2, 0, 1], frames[3, 1, 1], frames[4, 1, 0] = np.nan, np.inf, -np.inf, -1e30
    _, events = run(model, frames, [k * MS for k in range(6)])
    assert np.all(events["x"] < WIDTH) and np.all(events["t"] <= 5 * MS)


@pytest.mark.parametrize(
    "field, value",
    [
        ("width", 0), ("height", -3), ("width", 2.5), ("height", 70000), ("contrast_threshold", 0),
        ("contrast_threshold", math.nan), ("threshold_mismatch", -0.1), ("refractory_ns", -1),
        ("shot_noise_hz", -1), ("leak_hz", math.inf), ("cutoff_hz", 0), ("hot_pixel_fraction", 1.5),
        ("hot_pixel_hz", -1), ("stray_light", -1), ("lin_log_threshold", 0), ("lin_log_threshold", 1.0),
        ("leak_hz", "fast"),
    ],
)  # fmt: skip
def test_impossible_models_are_refused_by_name(field, value):
    with pytest.raises(TaskError, match=field):
        EventCameraModel(**{"width": 4, "height": 4, field: value})


def test_wrong_calls_are_refused():
    camera = EventCamera(EventCameraModel(WIDTH, HEIGHT))
    frame = moving(1)[0]
    with pytest.raises(ValueError, match="reset"):
        camera.step(frame, 5)
    camera.reset(frame, 10, 1)
    with pytest.raises(ValueError, match="later"):
        camera.step(frame, 10)
    with pytest.raises(ValueError, match="5 x 7"):
        camera.step(frame.T, 20)


@pytest.mark.parametrize("factor", [0.5, 2.0])
@pytest.mark.parametrize("leak_hz", [0.0, 5.0])
def test_scaled_thresholds_keep_the_part_that_was_gathered(factor, leak_hz):
    """A pixel that has got half of the way to its next event has half of the new way left, and none fires at once."""
    model = EventCameraModel(4, 3, threshold_mismatch=0.02, refractory_ns=0, shot_noise_hz=0.0, leak_hz=leak_hz)
    camera = EventCamera(model)
    start = np.full((3, 4), 50, np.float32)
    camera.reset(start, 0, 1)
    before = camera.thresholds
    half = 50 * np.exp(0.5 * before[0])
    camera.step(half, MS)
    camera.scale_thresholds(factor)
    for ours, theirs in zip(camera.thresholds, before, strict=True):
        np.testing.assert_allclose(ours, np.maximum(factor * theirs, 0.01), rtol=1e-6)
    assert not len(camera.step(half, 2 * MS))
    if leak_hz == 0:
        assert not len(camera.step(half * np.exp(0.49 * camera.thresholds[0]), 3 * MS))
        events = camera.step(half * np.exp(0.52 * camera.thresholds[0]), 4 * MS)
        assert len(events) == 12 and (events["p"] == 1).all() and (events["t"] > 3 * MS).all()
    camera.reset(start, 0, 1)
    np.testing.assert_array_equal(camera.thresholds, before)
