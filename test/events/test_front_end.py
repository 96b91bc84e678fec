# SPDX-License-Identifier: Apache-2.0
"""The front end: each step against its definition in plain Python, and what does not fit it."""

import json
from collections import defaultdict

import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

from liquid_spike_control.errors import TaskError
from liquid_spike_control.events.camera import EventCamera, EventCameraModel
from liquid_spike_control.events.camera_info import CameraInfo, Matrix, read_camera_info
from liquid_spike_control.events.filters import FrontEnd, count_pixels
from liquid_spike_control.events.front_end import Crop, FrontEndSettings, Sensor, from_json, to_json
from liquid_spike_control.events.hot_pixels import find_hot_pixels, read_hot_pixels
from liquid_spike_control.events.undistortion import distort, undistorted
from liquid_spike_control.events.words import to_words
from liquid_spike_control.types import EVENT

MS = 1_000_000
SIZE = 48, 32


def random_events(seed, n=4000, size=SIZE, until_ns=40 * MS):
    """Half of them in a corner, so that pixels are near each other in place and time."""
    rng = np.random.default_rng(seed)
    events = np.zeros(n, EVENT)
    events["t"] = np.sort(rng.integers(1, until_ns, n))
    for field, pixels in zip("xy", size, strict=True):
        events[field] = np.where(rng.random(n) < 0.5, rng.integers(0, 8, n), rng.integers(0, pixels, n))
    events["p"] = rng.integers(0, 2, n)
    return events


def by_definition(events, size, settings: FrontEndSettings):
    """What the settings' docstring says, one event at a time."""
    crop = settings.cropped(*size)
    last, passed, kept = {}, defaultdict(int), []
    for ns, x, y, p in events.tolist():
        t = -(-ns // 1000) * 1000  # whole microseconds, as packets of evt3 have them
        left, top = x - crop.left, y - crop.top
        if (x, y) in (settings.hot_pixels or ()) or not (0 <= left < crop.width and 0 <= top < crop.height):
            continue
        if settings.refractory_s and t - last.get((x, y), -(10**18)) < settings.refractory_s * 1e9:
            continue
        last[x, y] = t
        around = [last.get((x + i, y + j)) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
        if settings.background_s and not any(
            other is not None and t - other <= settings.background_s * 1e9 for other in around
        ):
            continue
        column, row = left // settings.group[0], top // settings.group[1]
        passed[column, row, p] += 1
        if passed[column, row, p] % settings.decimate == 0:
            kept.append((ns, column, row, p))
    return np.array(kept, EVENT)


STEPS = {
    "nothing": {},
    "crop": {"crop": Crop(left=3, top=5, width=40, height=24)},
    "group": {"group": (4, 2)},
    "mask": {"hot_pixels": ((0, 0), (3, 4), (47, 31))},
    "refractory": {"refractory_s": 0.004},
    "background": {"background_s": 0.0005},
    "decimate": {"decimate": 3},
}
STEPS["all"] = {k: v for step in STEPS.values() for k, v in step.items()}


@pytest.mark.parametrize("name", STEPS)
def test_each_step_is_its_definition(name):
    settings = FrontEndSettings(**STEPS[name])
    settings.check(*SIZE)
    front_end = FrontEnd([Sensor(*SIZE, settings)])
    assert (front_end.width, front_end.height) == settings.picture(*SIZE)
    for seed in (1, 2):
        events = random_events(seed)
        untouched = events.copy()
        front_end.reset()
        found, expected = front_end.apply(events), by_definition(events, SIZE, settings)
        assert found.tolist() == expected.tolist()
        assert (len(found) < len(events) or name in ("nothing", "group")) and len(found) > 20
        assert events.tolist() == untouched.tolist()
    assert front_end.counts.sum() == 8000


def test_windows_of_any_length_give_the_same_events_and_reset_forgets():
    settings = FrontEndSettings(**STEPS["all"])
    front_end, events = FrontEnd([Sensor(*SIZE, settings)]), random_events(3)
    whole = front_end.apply(events).copy()
    for cuts in ([1, 2, 3, 777], range(0, 4000, 50)):
        front_end.reset()
        parts = [front_end.apply(part).copy() for part in np.split(events, cuts)]
        assert np.concatenate(parts).tolist() == whole.tolist()


def test_cameras_side_by_side_do_not_see_each_other():
    """Each as it would be alone, the second behind the first."""
    sensors = [
        Sensor(*SIZE, FrontEndSettings(**STEPS["all"])), Sensor(20, 40, FrontEndSettings(background_s=0.001)),
        Sensor(16, 16, FrontEndSettings()),
    ]  # fmt: skip
    own = [random_events(seed, 2000, (s.width, s.height)) for seed, s in enumerate(sensors)]
    alone = [FrontEnd([sensor]).apply(events).copy() for sensor, events in zip(sensors, own, strict=True)]
    joined, offset = [], 0
    for sensor, events in zip(sensors, own, strict=True):
        events = events.copy()
        events["x"] += offset
        joined.append(events)
        offset += sensor.width
    joined = np.sort(np.concatenate(joined), order="t", kind="stable")
    front_end = FrontEnd(sensors)
    assert (front_end.camera_width, front_end.camera_height) == (84, 40)
    assert (front_end.width, front_end.height) == (10 + 20 + 16, 40)
    found = front_end.apply(joined)
    for first, wide, expected in ((0, 10, alone[0]), (10, 20, alone[1]), (30, 16, alone[2])):
        part = found[(found["x"] >= first) & (found["x"] < first + wide)]
        part["x"] -= first
        assert sorted(part.tolist()) == sorted(expected.tolist())


def test_a_camera_of_1280_by_720_fills_a_picture_of_64_by_64():
    settings = FrontEndSettings(crop=Crop(left=288, top=8, width=704, height=704), group=(11, 11))
    front_end = FrontEnd([Sensor(1280, 720, settings)])
    assert (front_end.width, front_end.height) == (64, 64)
    events = np.array([(1, 288, 8, 1), (2, 298, 18, 0), (3, 299, 19, 1), (4, 991, 711, 1), (5, 287, 8, 1),
                       (6, 992, 711, 1), (7, 1300, 9, 1)], EVENT)  # fmt: skip
    assert front_end.apply(events).tolist() == [(1, 0, 0, 1), (2, 0, 0, 0), (3, 1, 1, 1), (4, 63, 63, 1)]
    assert front_end.outside == 1 and front_end.dropped["front_end_unseen"] == 2


# ---- undistortion ----


def calibration(model, coefficients, size=(64, 48), rotation=None, projection=None) -> CameraInfo:
    k = (60.0, 0.0, 31.0, 0.0, 62.0, 23.5, 0.0, 0.0, 1.0)
    return CameraInfo(
        image_width=size[0], image_height=size[1], distortion_model=model,
        camera_matrix=Matrix(rows=3, cols=3, data=k),
        distortion_coefficients=Matrix(rows=1, cols=len(coefficients), data=tuple(coefficients)),
        rectification_matrix=rotation and Matrix(rows=3, cols=3, data=tuple(rotation)),
        projection_matrix=projection and Matrix(rows=3, cols=4, data=tuple(projection)),
    )  # fmt: skip


def fisheye(x, y, k):
    """Of OpenCV's documentation."""
    r = np.hypot(x, y)
    theta = np.arctan(r)
    distorted = theta * (1 + k[0] * theta**2 + k[1] * theta**4 + k[2] * theta**6 + k[3] * theta**8)
    scale = np.divide(distorted, r, out=np.ones_like(r), where=r > 0)
    return x * scale, y * scale


@pytest.mark.parametrize(("model", "coefficients"), [
    ("plumb_bob", [-0.3, 0.08, 0.002, -0.001, 0.01]),
    ("rational_polynomial", [0.2, 0.05, 0.001, -0.002, 0.01, 0.4, 0.1, 0.02]),
    ("equidistant", [-0.02, 0.01, -0.003, 0.001]),
])  # fmt: skip
def test_the_lens_puts_each_undistorted_pixel_where_it_came_from(model, coefficients):
    turn = Rotation.from_euler("xyz", [0.02, -0.03, 0.1]).as_matrix()
    projection = (50.0, 0.0, 30.0, 0.0, 0.0, 51.0, 22.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    places = undistorted(calibration(model, coefficients, rotation=turn.ravel().tolist(), projection=projection))
    ray = np.stack([(places[..., 0] - 30) / 50, (places[..., 1] - 22) / 51, np.ones(places.shape[:2])], -1) @ turn
    x, y = ray[..., 0] / ray[..., 2], ray[..., 1] / ray[..., 2]
    if model == "equidistant":
        u, v = fisheye(x, y, coefficients)
    else:
        u, v = distort(x, y, np.array(coefficients + [0.0] * (8 - len(coefficients))))
    rows, columns = np.indices(places.shape[:2])
    assert np.isfinite(places).all()
    np.testing.assert_allclose(60 * u + 31, columns, atol=1e-6)
    np.testing.assert_allclose(62 * v + 23.5, rows, atol=1e-6)
    assert np.abs(places - np.stack([columns, rows], -1)).max() > 2  # or there is nothing to be seen


def test_where_the_lens_folds_over_there_is_no_place():
    places = undistorted(calibration("plumb_bob", [-1.5, 0.0]))
    r2 = ((np.arange(64) - 31) / 60.0) ** 2
    beyond = np.sqrt(r2) > 2 / 3 / np.sqrt(3 * 1.5)  # where r (1 - 1.5 r^2) is greatest
    row = places[23]  # half a pixel beside the axis
    assert beyond.any() and np.isnan(row[beyond]).all() and np.isfinite(row[np.sqrt(r2) < 0.25]).all()


def test_a_calibration_without_distortion_changes_nothing():
    events = random_events(5, size=(64, 48))
    front_end = FrontEnd([Sensor(64, 48, FrontEndSettings(camera_info=calibration("plumb_bob", [0.0] * 5)))])
    assert front_end.apply(events).tolist() == events.tolist()


def test_undistortion_comes_before_the_crop(tmp_path):
    """A file as camera_calibration writes it; its picture is moved by 10 columns and 4 rows."""
    moved = (60.0, 0.0, 41.0, 0.0, 0.0, 62.0, 27.5, 0.0, 0.0, 0.0, 1.0, 0.0)
    content = {
        "image_width": 64, "image_height": 48, "camera_name": "eye", "distortion_model": "plumb_bob",
        "camera_matrix": {"rows": 3, "cols": 3, "data": [60.0, 0, 31, 0, 62.0, 23.5, 0, 0, 1]},
        "distortion_coefficients": {"rows": 1, "cols": 5, "data": [0.0] * 5},
        "projection_matrix": {"rows": 3, "cols": 4, "data": list(moved)},
    }  # fmt: skip
    (tmp_path / "eye.yaml").write_text(yaml.safe_dump(content))
    settings = FrontEndSettings(camera_info="eye.yaml", crop=Crop(left=12, top=4, width=10, height=10))
    front_end = FrontEnd([Sensor(64, 48, settings.with_contents(tmp_path, 64, 48))])
    events = np.array([(1, 2, 0, 1), (2, 11, 9, 0), (3, 1, 0, 1), (4, 12, 9, 1)], EVENT)
    assert front_end.apply(events).tolist() == [(1, 0, 0, 1), (2, 9, 9, 0)]
    assert read_camera_info(tmp_path / "eye.yaml").distortion_model == "plumb_bob"


# ---- hot pixels ----


def test_hot_pixels_of_the_camera_s_model_are_found_beside_a_moving_edge():
    """All that the model made hot, and no other, while a bar passes over the whole picture."""
    camera = EventCamera(EventCameraModel(64, 48, hot_pixel_fraction=0.01, hot_pixel_hz=30.0, shot_noise_hz=0.5))
    picture = np.full((48, 64), 80.0)
    camera.reset(picture, 0, seed=4)
    counts, n = np.zeros((48, 64), np.int64), 0
    for k in range(1, 2001):
        picture[:] = 80
        picture[:, k // 16 % 64] = 200
        events = camera.step(picture, k * 2 * MS)
        n += len(events)
        assert count_pixels(to_words(events), counts) == 0
    found = find_hot_pixels(counts, 4.0, 2.0, 3.0)
    truth = np.stack([camera._hot % 64, camera._hot // 64], 1)
    assert len(truth) == 31 and counts.sum() == n
    np.testing.assert_array_equal(found.pixels, truth)
    assert found.share == counts[found.pixels[:, 1], found.pixels[:, 0]].sum() / n
    assert 25 < found.rates.min() and found.rates.max() < 60


def test_an_edge_that_stands_and_trembles_is_not_hot():
    counts = np.zeros((20, 20), np.int64)
    counts[:, 7] = 500  # one column of the sensor
    counts[12, 15] = counts[12, 16] = 400  # two hot ones side by side
    counts[3, 3] = 9  # too few to judge
    assert find_hot_pixels(counts, 1.0, 1.0, 10.0).pixels.tolist() == [[15, 12], [16, 12]]


# ---- what does not fit ----


@pytest.mark.parametrize(("settings", "says"), [
    ({"crop": Crop(left=20, top=0, width=40, height=32)},
     "crop: 40 x 32 pixels from column 20 and row 0; give a part of the sensor's 48 x 32"),
    ({"crop": Crop(left=0, top=0, width=0, height=32)}, "crop: 0 x 32; give a width and a height of at least 1 pixel"),
    ({"group": (5, 2)}, "group: [5, 2]; give a divisor of the 48 columns, or another crop"),
    ({"group": (4, 3)}, "group: [4, 3]; give a divisor of the 32 rows, or another crop"),
    ({"group": (0, 1)}, "group: [0, 1]; give whole numbers of at least 1"),
    ({"decimate": 0}, "decimate: 0; give 1 to 65535 events"),
    ({"refractory_s": -0.1}, "refractory_s: -0.1; give 0 to 1 s"),
    ({"background_s": float("nan")}, "background_s: nan; give 0 to 1 s"),
    ({"hot_pixels": ((48, 0),)}, "hot_pixels: [48, 0]; give columns and rows of the sensor's 48 x 32"),
    ({"hot_pixels": ((0, 0),) * 5001}, "hot_pixels: 5001; give at most 5000; raise the rate of a hot one"),
    ({"camera_info": calibration("plumb_bob", [0.0])},
     "camera_info: 64 x 48 pixels; give the calibration of the sensor's 48 x 32"),
    ({"camera_info": calibration("fisheye", [0.0], SIZE)},
     "camera_info.distortion_model: 'fisheye'; give one of plumb_bob, rational_polynomial, equidistant"),
    ({"camera_info": calibration("plumb_bob", [0.0] * 8, SIZE)},
     "camera_info.distortion_coefficients: 1x8 with 8 numbers; give 1x5 or fewer finite numbers"),
    ({"camera_info": calibration("plumb_bob", [0.0], SIZE, rotation=[1.0] * 8)},
     "camera_info.rectification_matrix: 3x3 with 8 numbers; give 3x3 finite numbers"),
])  # fmt: skip
def test_a_setting_that_does_not_fit_is_refused_by_name(settings, says):
    with pytest.raises(TaskError) as refusal:
        FrontEndSettings(**settings).check(*SIZE)
    assert str(refusal.value) == says


@pytest.mark.parametrize(("field", "text", "says"), [
    ("hot_pixels", None, "hot_pixels: {}: No such file or directory; make it with liquid-spike events hot-pixels"),
    ("hot_pixels", "[1, 2", "hot_pixels: {}: no mask of hot pixels; make it with liquid-spike events hot-pixels"),
    ("hot_pixels", json.dumps({"width": 48, "height": 32, "pixels": [[1.5, 2]]}),
     "hot_pixels: {}: no mask of hot pixels; make it with liquid-spike events hot-pixels"),
    ("hot_pixels", json.dumps({"width": 640, "height": 480, "pixels": []}),
     "hot_pixels: {}: 640 x 480 pixels; give the mask of the sensor's 48 x 32"),
    ("camera_info", None, "camera_info: {}: No such file or directory; give a file that camera_calibration wrote"),
    ("camera_info", "image_width: 48",
     "camera_info: {}: Object missing required field `image_height`; give a file that camera_calibration wrote"),
])  # fmt: skip
def test_a_file_that_does_not_fit_is_refused_by_name(tmp_path, field, text, says):
    path = tmp_path / "file"
    if text is not None:
        path.write_text(text)
    with pytest.raises(TaskError) as refusal:
        FrontEndSettings(**{field: "file"}).with_contents(tmp_path, *SIZE)
    assert str(refusal.value) == says.format(path)


def test_settings_travel_as_json():
    settings = [
        FrontEndSettings(**STEPS["all"], camera_info=calibration("plumb_bob", [0.1], SIZE)), FrontEndSettings()
    ]  # fmt: skip
    sensors = from_json(to_json(settings), [SIZE, (9, 9)])
    assert sensors == (Sensor(*SIZE, settings[0]), Sensor(9, 9, settings[1]))
    assert to_json([FrontEndSettings()]) == "" and from_json("", [SIZE]) == ()
    for text, says in (
        ("[{}", "front_end: "), ('[{"grop": [1, 1]}]', "front_end: Object contains unknown field `grop`"),
        ("[{}, {}]", "front_end: 2 for 1 cameras; give one for each"),
        ('[{"hot_pixels": "mask.json"}]', "front_end: the name of a file"), ('[{"group": [7, 1]}]', "group: "),
    ):  # fmt: skip
        with pytest.raises(TaskError) as refusal:
            from_json(text, [SIZE])
        assert str(refusal.value).startswith(says)


def test_a_mask_is_read_as_it_was_written(tmp_path):
    (tmp_path / "m.json").write_text(json.dumps({"width": 48, "height": 32, "pixels": [[3, 4], [0, 31]], "share": 0.5}))
    assert read_hot_pixels(tmp_path / "m.json", 48, 32) == ((3, 4), (0, 31))
