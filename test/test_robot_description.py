# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a description, its scene, its task or its models is said in one line: file, field, remedy."""

import copy
from pathlib import Path

import msgspec
import pytest
import yaml
from cli_here import cli

from liquid_spike_control.assembly import read_robot_controller, read_robot_perception
from liquid_spike_control.errors import ModelError, RobotError
from liquid_spike_control.resources import shipped_model
from liquid_spike_control.robot import Camera, Command, Estimate, Reading, Robot, SafeStage, Setpoint
from liquid_spike_control.robot_file import read_robot
from liquid_spike_control.robots.catalogue import descriptions, robot_named
from liquid_spike_control.tasks.of_robot import task_of

ARM = yaml.safe_load("""
name: arm
period_s: 0.01
max_age_s: 0.1
scene: scene.xml
readings:
  - {name: angle, unit: rad, scale: 0.5, mujoco: {joint: hinge, field: position}}
  - {name: rate, unit: rad/s, scale: 2.0, mujoco: {sensor: gyro, index: 2}}
setpoints:
  - {name: target, unit: rad, scale: 0.5, default: 0.0}
cameras:
  - {name: eye, width: 32, height: 24, frame_s: 0.002}
estimates:
  - {name: bearing, unit: rad, scale: 0.5, mujoco: {site: tip, field: yaw}}
commands:
  - {name: torque, unit: N m, least: -1.0, most: 2.0, rate: 50.0, safe: 0.0, mujoco: {actuator: motor}}
""")
SCENE = """
<mujoco>
  <option timestep="0.002"/>
  <worldbody>
    <body name="arm">
      <joint name="hinge" axis="0 0 1"/>
      <geom size="0.02 0.1" type="capsule" mass="1"/>
      <site name="tip" pos="0 0 0.1"/>
    </body>
    <body name="ball" pos="1 0 0"><freejoint name="free"/><geom size="0.1" mass="1"/></body>
    <camera name="eye" pos="0 -1 0" xyaxes="1 0 0 0 0 1"/>
  </worldbody>
  <sensor><gyro name="gyro" site="tip"/></sensor>
  <actuator><motor name="motor" joint="hinge"/></actuator>
</mujoco>
"""
MISSING = object()
NAN, INF = float("nan"), float("inf")
JOINT_STATE = "sensor_msgs/msg/JointState"
NO_DEFAULT = "missing; it has no default"
ABOVE_0 = "give a finite number above 0"
FINITE = "give a finite number; limits are never off"
QUOTES = "put names and units in quotes: YAML reads a bare y, n, on or off as true or false"
ONE_PLACE = "give exactly one of sensor, joint, body, site, camera"
JOINT = "give position, velocity, sine, cosine"
FRAME = "give x, y, z, roll, pitch, yaw"
UNKNOWN = "unknown field; correct its name or leave it out"
OTHER_FILE = "give the name of another file in the same folder"
JOINT_FIELD = "give joint/position, joint/velocity or joint/effort"


def changed(*changes: tuple[str, object]) -> dict:
    """The arm with values at paths such as ``readings.0.unit``."""
    values = copy.deepcopy(ARM)
    for path, value in changes:
        *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        at = values
        for part in way:
            at = at[part]
        if value is MISSING:
            del at[last]
        else:
            at[last] = value
    return values


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with the arm in it."""
    write(tmp_path)
    (tmp_path / "scene.xml").write_text(SCENE)
    return tmp_path


def write(folder: Path, *changes: tuple[str, object]) -> None:
    (folder / "robot.yaml").write_text(yaml.safe_dump(changed(*changes), sort_keys=False))


def refused(folder: Path, what=read_robot) -> str:
    """The line that is said, without the folder's path."""
    with pytest.raises(RobotError) as refusal:
        what(folder)
    assert "\n" not in str(refusal.value)
    return str(refusal.value).replace(f"{folder}/", "")


def test_the_arm_is_right(folder):
    robot, task = read_robot(folder), task_of(read_robot(folder))
    assert [o.name for o in robot.observations] == ["angle", "rate", "target", "bearing"]
    assert task.observe().tolist() == [0.0, 0.0, 0.0] and task.estimates().tolist() == [0.0]


def test_stages_of_the_safe_command_are_those_of_all_commands(folder):
    robot = read_robot(folder)
    (torque,) = robot.commands
    brake = msgspec.structs.replace(torque, name="brake", safe=0.5, safe_then=(SafeStage(after_s=2.0, value=1.0),))
    torque = msgspec.structs.replace(
        torque, safe_then=(SafeStage(after_s=1.0, value=-0.5), SafeStage(after_s=3.0, value=-4.0))
    )
    both = msgspec.structs.replace(robot, commands=(torque, brake))
    assert both.safe_stages() == ((1.0, (-0.5, 0.5)), (2.0, (-0.5, 1.0)), (3.0, (-4.0, 1.0)))
    limits = both.gate_limits([0.8, 0.8])  # a controller's tighter range does not bound them
    assert [o.tolist() for o in limits.outputs] == [[0.0, 0.5], [-0.5, 0.5], [-0.5, 1.0], [-4.0, 1.0]]
    assert [after_ns for after_ns, _ in limits.then] == [10**9, 2 * 10**9, 3 * 10**9]
    assert robot.safe_stages() == () and robot.gate_limits().then == ()


REQUIRED = [
    "name", "period_s", "max_age_s", "commands", *(f"readings.0.{f}" for f in ("name", "unit", "scale")),
    *(f"setpoints.0.{f}" for f in ("name", "unit", "scale", "default")),
    *(f"cameras.0.{f}" for f in ("name", "width", "height")), *(f"estimates.0.{f}" for f in ("name", "unit", "scale")),
    *(f"commands.0.{f}" for f in ("name", "unit", "least", "most", "rate", "safe")),
]  # fmt: skip


@pytest.mark.parametrize("path", REQUIRED)
def test_what_has_no_default_must_be_there(folder, path):
    write(folder, (path, MISSING))
    assert refused(folder) == f"robot.yaml: {path.replace('.0', '[0]')}: {NO_DEFAULT}"


WRONG = [
    # the robot itself
    ("name", "Arm 1", "name: 'Arm 1'; give lower-case letters, digits, - and _, beginning with a letter"),
    ("name", 7, "name: expected `str`, got `int`; give a text"),
    ("description", 3, "description: expected `str`, got `int`; give a text"),
    ("period_s", 0, f"period_s: 0.0; {ABOVE_0}"),
    ("period_s", -0.1, f"period_s: -0.1; {ABOVE_0}"),
    ("period_s", NAN, f"period_s: nan; {ABOVE_0}"),
    ("period_s", "10 ms", "period_s: expected `float`, got `str`; give a number"),
    ("period_s", True, "period_s: expected `float`, got `bool`; give a number"),
    ("max_age_s", 0.0, f"max_age_s: 0.0; {ABOVE_0}"),
    ("max_age_s", INF, f"max_age_s: inf; {ABOVE_0}"),
    ("max_age_s", 1.5, "max_age_s: 1.5; give at most 1 s: a longer age would mean that commands last"),
    ("tolerance_s", -1.0, "tolerance_s: -1.0; give a finite number of at least 0"),
    ("tolerance_s", NAN, "tolerance_s: nan; give a finite number of at least 0"),
    ("tolerance_s", "no", "tolerance_s: expected `float | null`, got `str`; give a number"),
    ("success", 2, "success: expected `str`, got `int`; give a text"),
    ("failure", [], "failure: expected `str`, got `array`; give a text"),
    ("variants", 3, "variants: expected `object`, got `int`; give fields with values"),
    ("variants", {"my law": {}}, "variants.my law: not a name; give letters, digits and _"),
    ("variants", {"mine": {"estimates": "guess"}},
     "variants.mine.estimates: 'guess'; give perception, truth or file.py:Class"),
    ("variants", {"mine": {"backend": "gpu"}}, "variants.mine.backend: 'gpu'; give loihi or float"),
    ("variants", {"mine": {"controller": "law.py:"}},
     "variants.mine.controller: 'law.py:'; give expert, a model file or file.py:Class"),
    ("variants", {"mine": {"law": "pid"}}, f"variants[...].law: {UNKNOWN}"),
    ("scene", 5, "scene: expected `str | null`, got `int`; give a text"),
    ("perception", [1], "perception: expected `str | null`, got `array`; give a text"),
    ("controller", 1.0, "controller: expected `str | null`, got `float`; give a text"),
    ("task", 4, "task: expected `str | null`, got `int`; give a text"),
    ("perception_training", 4, "perception_training: expected `str | null`, got `int`; give a text"),
    ("perception_training", "train", "perception_training: 'train'; give file.py:Class"),
    ("settings", [1], "settings: expected `object`, got `array`; give fields with values"),
    ("settings", {"gain": [1]}, "settings[...]: expected `bool | int | float | str`, got `array`; "
                                "give true, false, a number or a text"),
    ("periods", 1, f"periods: {UNKNOWN}"),
    ("a b", 1, f"a b: {UNKNOWN}"),
    ("folder", "x", "folder: unknown field; leave it out"),
    ("source", "x", "source: unknown field; leave it out"),
    ("extends", "../other.yaml", f"extends: '../other.yaml'; {OTHER_FILE}"),
    ("extends", "robot.yaml", f"extends: 'robot.yaml'; {OTHER_FILE}"),
    ("extends", 4, f"extends: 4; {OTHER_FILE}"),
    ("hide", "angle", "hide: 'angle'; give a list of readings' names"),
    ("hide", ["knee"], "hide: no reading is called 'knee'; known: angle, rate"),
    # readings
    ("readings", 7, "readings: expected `array`, got `int`; give a list"),
    ("readings.0", "angle", "readings[0]: expected `object`, got `str`; give fields with values"),
    ("readings.0.name", "an gle", "readings[0].name: 'an gle'; give letters, digits and _"),
    ("readings.0.name", "rate", "readings[1].name: 'rate' is in readings too; give each a name of its own"),
    ("readings.0.name", "target", "setpoints[0].name: 'target' is in readings too; give each a name of its own"),
    ("readings.0.name", False, f"readings[0].name: expected `str`, got `bool`; {QUOTES}"),
    ("readings.0.unit", "", "readings[0] (angle).unit: empty; give the unit, 1 for a number without one"),
    ("readings.0.unit", True, f"readings[0].unit: expected `str`, got `bool`; {QUOTES}"),
    ("readings.0.unit", 1, "readings[0].unit: expected `str`, got `int`; give a text"),
    ("readings.0.scale", 0, f"readings[0] (angle).scale: 0.0; {ABOVE_0}"),
    ("readings.0.scale", INF, f"readings[0] (angle).scale: inf; {ABOVE_0}"),
    ("readings.0.scale", "big", "readings[0].scale: expected `float`, got `str`; give a number"),
    ("readings.0.resolution", 0, f"readings[0] (angle).resolution: 0.0; {ABOVE_0}"),
    ("readings.0.resolution", NAN, f"readings[0] (angle).resolution: nan; {ABOVE_0}"),
    ("readings.0.camera", "nose", "readings[0] (angle).camera: 'nose'; name one of the cameras: eye"),
    ("readings.0.camera", "eye", "readings[0] (angle).camera: given beside mujoco; give one of them"),
    ("readings.0.gain", 1, f"readings[0].gain: {UNKNOWN}"),
    ("readings.0.mujoco", "hinge", "readings[0].mujoco: expected `object | null`, got `str`; give fields with values"),
    ("readings.0.mujoco", {}, f"readings[0] (angle).mujoco: empty; {ONE_PLACE}"),
    ("readings.0.mujoco", {"actuator": "motor"}, f"readings[0] (angle).mujoco: actuator; {ONE_PLACE}"),
    ("readings.0.mujoco", {"sensor": "gyro", "joint": "hinge", "field": "position"},
     f"readings[0] (angle).mujoco: sensor, joint; {ONE_PLACE}"),
    ("readings.0.mujoco", {"joint": "hinge"}, f"readings[0] (angle).mujoco.field: not set; {JOINT}"),
    ("readings.0.mujoco", {"joint": "hinge", "field": "x"}, f"readings[0] (angle).mujoco.field: x; {JOINT}"),
    ("readings.0.mujoco", {"body": "arm", "field": "w"}, f"readings[0] (angle).mujoco.field: w; {FRAME}"),
    ("readings.0.mujoco", {"sensor": "gyro", "field": "x"}, "readings[0] (angle).mujoco.field: x; leave it out"),
    ("readings.0.mujoco", {"motor": "x"}, f"readings[0].mujoco.motor: {UNKNOWN}"),
    ("readings.1.mujoco.index", -1, "readings[1] (rate).mujoco.index: -1; give at least 0"),
    ("readings.1.mujoco.index", 0.5, "readings[1].mujoco.index: expected `int`, got `float`; give a whole number"),
    ("readings.0.ros", {"topic": "joint_states", "type": JOINT_STATE, "field": "a/position", "qos": {"depth": 5}},
     "readings and setpoints.ros.qos: 'joint_states' has two; give all quantities of a topic the same"),
    ("setpoints.0.ros", {"topic": "joint_states", "type": JOINT_STATE, "field": "a/position"},
     "setpoints[0] (target).ros.topic: 'joint_states' has readings too; give setpoints a topic of their own"),
    ("readings.0.ros", {"topic": "imu"}, f"readings[0].ros.type: {NO_DEFAULT}"),
    ("readings.0.ros", {"type": JOINT_STATE}, f"readings[0].ros.topic: {NO_DEFAULT}"),
    ("readings.0.ros", {"topic": "", "type": JOINT_STATE, "field": "a/position"},
     "readings[0] (angle).ros.topic: ''; give a topic's name, e.g. imu/data"),
    ("readings.0.ros", {"topic": "a b", "type": JOINT_STATE, "field": "a/position"},
     "readings[0] (angle).ros.topic: 'a b'; give a topic's name, e.g. imu/data"),
    ("readings.0.ros", {"topic": "imu", "type": "JointState", "field": "a/position"},
     "readings[0] (angle).ros.type: 'JointState'; give package/msg/Name, e.g. sensor_msgs/msg/JointState"),
    ("readings.0.ros", {"topic": "imu", "type": JOINT_STATE},
     f"readings[0] (angle).ros.field: ''; {JOINT_FIELD}"),
    ("readings.0.ros", {"topic": "imu", "type": JOINT_STATE, "field": "a/angle"},
     f"readings[0] (angle).ros.field: 'a/angle'; {JOINT_FIELD}"),
    ("readings.0.ros", {"topic": "imu", "type": "std_msgs/msg/Float64MultiArray", "field": "data"},
     "readings[0] (angle).ros.field: 'data'; leave it out: the numbers are in the description's order"),
    ("readings.0.ros", {"topic": "imu", "type": "sensor_msgs/msg/Imu", "field": "__class__.x"},
     "readings[0] (angle).ros.field: '__class__.x'; give the path to a number, e.g. twist.linear.x"),
    # setpoints
    ("setpoints", "target", "setpoints: expected `array`, got `str`; give a list"),
    ("setpoints.0.default", INF, "setpoints[0] (target).default: inf; give a finite number"),
    ("setpoints.0.default", "zero", "setpoints[0].default: expected `float`, got `str`; give a number"),
    ("setpoints.0.scale", -1, f"setpoints[0] (target).scale: -1.0; {ABOVE_0}"),
    ("setpoints.0.unit", "", "setpoints[0] (target).unit: empty; give the unit, 1 for a number without one"),
    ("setpoints.0.mujoco", {"joint": "hinge"}, f"setpoints[0].mujoco: {UNKNOWN}"),
    ("setpoints.0.ros", {"topic": "goal", "type": "Goal"},
     "setpoints[0] (target).ros.type: 'Goal'; give package/msg/Name, e.g. sensor_msgs/msg/JointState"),
    # cameras
    ("cameras.0.name", "angle", "cameras[0].name: 'angle' is in readings too; give each a name of its own"),
    ("cameras.0.width", 0, "cameras[0] (eye).width: 0; give 1 to 65535 pixels"),
    ("cameras.0.width", 70000, "cameras[0] (eye).width: 70000; give 1 to 65535 pixels"),
    ("cameras.0.width", 32.5, "cameras[0].width: expected `int`, got `float`; give a whole number"),
    ("cameras.0.height", -1, "cameras[0] (eye).height: -1; give 1 to 65535 pixels"),
    ("cameras.0.frame_s", 0, f"cameras[0] (eye).frame_s: 0.0; {ABOVE_0}"),
    ("cameras.0.frame_s", 0.003, "cameras[0] (eye).frame_s: 0.003; give a whole part of period_s, 0.01 s"),
    ("cameras.0.frame_s", 0.02, "cameras[0] (eye).frame_s: 0.02; give a whole part of period_s, 0.01 s"),
    ("cameras.0.frame_s", 1e-320, "cameras[0] (eye).frame_s: 1e-320; give a whole part of period_s, 0.01 s"),
    ("cameras.0.motion_px", -0.5, f"cameras[0] (eye).motion_px: -0.5; {ABOVE_0}"),
    ("cameras.0.supersample", [0, 1], "cameras[0] (eye).supersample: [0, 1]; give whole numbers of at least 1"),
    ("cameras.0.supersample", [1], "cameras[0].supersample: expected `array` of length 2, got 1; give a list"),
    ("cameras.0.supersample", 2, "cameras[0].supersample: expected `array`, got `int`; give a list"),
    ("cameras.0.encoding", "evt9", "cameras[0] (eye).encoding: 'evt9'; give mono or evt3"),
    ("cameras.0.clock", "wall", "cameras[0] (eye).clock: 'wall'; give sensor or stamp"),
    ("cameras.0.qos", {"depth": 0}, "cameras[0] (eye).qos.depth: 0; give 1 to 100000 messages"),
    ("cameras.0.qos", {"reliability": "some"},
     "cameras[0] (eye).qos.reliability: 'some'; give reliable or best_effort"),
    ("cameras.0.topic", 3, "cameras[0].topic: expected `str | null`, got `int`; give a text"),
    ("cameras.0.topic", "9/events", "cameras[0] (eye).topic: '9/events'; give a topic's name, e.g. imu/data"),
    ("cameras.0.mujoco", 1, "cameras[0].mujoco: expected `str | null`, got `int`; give a text"),
    ("cameras.0.model", {"noise": 1}, f"cameras[0].model.noise: {UNKNOWN}"),
    ("cameras.0.model", {"shot_noise_hz": -1.0},
     "cameras[0] (eye).model: event camera: shot_noise_hz must be a finite number 0 or more, not -1.0"),
    ("cameras.0.model", {"contrast_threshold": 0.0},
     "cameras[0] (eye).model: event camera: contrast_threshold must be a finite number greater than 0, not 0.0"),
    ("cameras.0.front_end", 3, "cameras[0].front_end: expected `object`, got `int`; give fields with values"),
    ("cameras.0.front_end", {"blur": 1}, f"cameras[0].front_end.blur: {UNKNOWN}"),
    ("cameras.0.front_end", {"crop": {"left": 0, "top": 0, "width": 8}},
     f"cameras[0].front_end.crop.height: {NO_DEFAULT}"),
    ("cameras.0.front_end", {"crop": {"left": 0, "top": 1, "width": 32, "height": 24}},
     "cameras[0] (eye).front_end.crop: 32 x 24 pixels from column 0 and row 1; give a part of the sensor's 32 x 24"),
    ("cameras.0.front_end", {"group": [2, 5]},
     "cameras[0] (eye).front_end.group: [2, 5]; give a divisor of the 24 rows, or another crop"),
    ("cameras", [], "estimates: 1; add cameras: estimates come from event cameras"),
    # estimates
    ("estimates", {"name": "x"}, "estimates: expected `array`, got `object`; give a list"),
    ("estimates.0.scale", NAN, f"estimates[0] (bearing).scale: nan; {ABOVE_0}"),
    ("estimates.0.lag_s", -0.1, "estimates[0] (bearing).lag_s: -0.1; give a finite time of at least 0 s"),
    ("estimates.0.unit", "", "estimates[0] (bearing).unit: empty; give the unit, 1 for a number without one"),
    ("estimates.0.mujoco", {"site": "tip", "field": "position"},
     f"estimates[0] (bearing).mujoco.field: position; {FRAME}"),
    ("estimates.0.ros", {"topic": "a", "type": JOINT_STATE}, f"estimates[0].ros: {UNKNOWN}"),
    # commands
    ("commands", [], "commands: none; give at least one; a robot without commands cannot be controlled"),
    ("commands", None, "commands: expected `array`, got `null`; give a list"),
    ("commands", {}, "commands: expected `array`, got `object`; give a list"),
    ("commands.0.name", "1st", "commands[0].name: '1st'; give letters, digits and _"),
    ("commands.0.name", "bearing", "commands[0].name: 'bearing' is in estimates too; give each a name of its own"),
    ("commands.0.unit", "", "commands[0] (torque).unit: empty; give the unit, 1 for a number without one"),
    ("commands.0.least", NAN, f"commands[0] (torque).least: nan; {FINITE}"),
    ("commands.0.least", "low", "commands[0].least: expected `float`, got `str`; give a number"),
    ("commands.0.least", 3.0, "commands[0] (torque).least: 3.0; give a number below most, 2.0"),
    ("commands.0.most", INF, f"commands[0] (torque).most: inf; {FINITE}"),
    ("commands.0.most", None, "commands[0].most: expected `float`, got `null`; give a number"),
    ("commands.0.rate", 0.0, f"commands[0] (torque).rate: 0.0; {ABOVE_0}"),
    ("commands.0.rate", INF, f"commands[0] (torque).rate: inf; {FINITE}"),
    ("commands.0.safe", 5.0, "commands[0] (torque).safe: 5.0; give a number from -1.0 to 2.0"),
    ("commands.0.safe", NAN, f"commands[0] (torque).safe: nan; {FINITE}"),
    ("commands.0.safe_then", [{"after_s": 0.0, "value": 0.0}],
     "commands[0] (torque).safe_then[0].after_s: 0.0; give a time above 0.0 and up to 3600 s"),
    ("commands.0.safe_then", [{"after_s": 2.0, "value": 0.0}, {"after_s": 2.0, "value": 0.0}],
     "commands[0] (torque).safe_then[1].after_s: 2.0; give a time above 2.0 and up to 3600 s"),
    ("commands.0.safe_then", [{"after_s": 2.0, "value": NAN}],
     "commands[0] (torque).safe_then[0].value: nan; give a finite number"),
    ("commands.0.safe_then", [{"after_s": 2.0}], f"commands[0].safe_then[0].value: {NO_DEFAULT}"),
    ("commands.0.limit", 2.0, f"commands[0].limit: {UNKNOWN}"),
    ("commands.0.mujoco", {"joint": "hinge", "field": "position"}, "commands[0] (torque).mujoco: joint; give actuator"),
    ("commands.0.ros", {"topic": "a", "type": JOINT_STATE, "field": "hinge"},
     f"commands[0] (torque).ros.field: 'hinge'; {JOINT_FIELD}"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "says"), WRONG)
def test_a_wrong_field_is_named_with_its_remedy(folder, path, value, says):
    write(folder, (path, value))
    assert refused(folder) == f"robot.yaml: {says}"


@pytest.mark.parametrize(("kind", "where"), [
    (Robot, ""), (Reading, "readings.0."), (Setpoint, "setpoints.0."), (Camera, "cameras.0."),
    (Estimate, "estimates.0."), (Command, "commands.0."),
])  # fmt: skip
def test_every_field_is_in_the_table(kind, where):
    tried = {path for path, _, _ in WRONG} | set(REQUIRED)
    assert [field for field in kind.__struct_fields__ if where + field not in tried] == []


@pytest.mark.parametrize(("field", "content", "says"), [
    ("hot_pixels", '{"width": 64, "height": 48, "pixels": []}',
     "64 x 48 pixels; give the mask of the sensor's 32 x 24"),
    ("camera_info", "{image_width: 64, image_height: 48, distortion_model: plumb_bob, camera_matrix: &m {rows: 3, "
     "cols: 3, data: [9, 0, 9, 0, 9, 9, 0, 0, 1]}, distortion_coefficients: *m}",
     "64 x 48 pixels; give the calibration of the sensor's 32 x 24"),
    ("hot_pixels", None, "mask: No such file or directory; make it with liquid-spike events hot-pixels"),
])  # fmt: skip
def test_a_front_end_s_file_of_another_sensor(folder, field, content, says):
    write(folder, ("cameras.0.front_end", {field: "mask"}))
    if content is not None:
        (folder / "mask").write_text(content)
    said = refused(folder, lambda folder: read_robot(folder).sensors())
    assert said.startswith(f"robot.yaml: cameras[0] (eye).front_end.{field}: ") and said.endswith(says)


def test_without_anything_to_observe(folder):
    write(folder, *((field, []) for field in ("readings", "setpoints", "estimates", "cameras")))
    says = "readings: none; give a reading, setpoint or estimate for the controller to observe"
    assert refused(folder) == f"robot.yaml: {says}"


def test_cameras_whose_pictures_never_meet(folder):
    write(folder, ("cameras", [ARM["cameras"][0], ARM["cameras"][0] | {"name": "nose", "frame_s": 0.005}]))
    says = "cameras[1] (nose).frame_s: 0.005; give a whole multiple of the quickest camera's, 0.002 s"
    assert refused(folder) == f"robot.yaml: {says}"


def on_ros(folder, *places: dict[str, str]) -> None:
    """The arm with one command for each place."""
    commands = [ARM["commands"][0] | {"name": f"torque_{i}", "ros": place} for i, place in enumerate(places)]
    write(folder, ("commands", commands))


ARRAY, WRENCH = "std_msgs/msg/Float64MultiArray", "geometry_msgs/msg/WrenchStamped"


def test_commands_on_several_topics(folder):
    one, other = {"topic": "left", "type": ARRAY}, {"topic": "right", "type": WRENCH, "field": "wrench.torque.z"}
    on_ros(folder, one, other)
    robot = read_robot(folder)
    assert [place.topic for place in robot.command_places()] == ["left", "right"]
    assert [(place.topic, place.field) for place in robot.gated_places()] == [
        ("gate/output", "torque_0/position"), ("gate/output", "torque_1/position"),
    ]  # fmt: skip
    on_ros(folder, one, one)
    assert read_robot(folder).gated_places() == read_robot(folder).command_places()


@pytest.mark.parametrize(("places", "says"), [
    (({"topic": "left", "type": WRENCH, "field": "wrench.torque.z"}, {"topic": "left", "type": ARRAY}),
     "commands.ros.type: 'left' has two; give all quantities of a topic the same"),
    (2 * ({"topic": "left", "type": WRENCH, "field": "wrench.torque.z"},),
     "commands[1] (torque_1).ros.field: 'wrench.torque.z' of 'left' is torque_0's; give another one"),
    (({"topic": "/gate/output", "type": ARRAY}, {"topic": "left", "type": ARRAY}),
     "commands[0] (torque_0).ros.topic: '/gate/output' is the gate's own; give the robot's"),
])  # fmt: skip
def test_places_of_commands_that_do_not_go_together(folder, places, says):
    on_ros(folder, *places)
    assert refused(folder) == f"robot.yaml: {says}"


@pytest.mark.parametrize(("text", "says"), [
    ("name: arm\nname: leg\n", "line 2: name stands twice; leave one of them out"),
    ("name: arm\nreadings:\n  - {name: a, unit: m,\n     unit: s}\n",
     "line 4: unit stands twice; leave one of them out"),
    ("? [a]\n: 1\n", "line 1: a field has no plain name; give it one"),
    ("", "not a description of a robot; give fields such as name and commands"),
    ("- name: arm\n", "not a description of a robot; give fields such as name and commands"),
    ("1: 2\n", "not a description of a robot; give fields such as name and commands"),
    ("{a: " * 5000, "not yaml: nested too deeply or too long: 32 levels, 20000 values"),
    ("a" * (1 << 20) + ": 1", "more than 1048576 bytes; give a robot's name, its folder or its yaml file"),
    ("extends: base.yaml\n", "base.yaml extends a file itself; extend that one"),
])  # fmt: skip
def test_a_file_that_is_no_description(folder, text, says):
    (folder / "robot.yaml").write_text(text)
    (folder / "base.yaml").write_text("extends: robot.yaml\n")
    assert refused(folder) == f"robot.yaml: {'extends: ' if 'base' in text else ''}{says}"


@pytest.mark.parametrize("text", ["name: [", "a: !!python/object/apply:os.system [echo]\n", "x: *nope\n", "\t"])
def test_what_is_no_yaml(folder, text):
    (folder / "robot.yaml").write_text(text)
    assert refused(folder).startswith("robot.yaml: not yaml: ")
    (folder / "robot.yaml").write_bytes(b"name: \xff\xfe")
    assert refused(folder).startswith("robot.yaml: not yaml: 'utf-8' codec can't decode byte 0xff")


def test_a_folder_that_is_no_robot(tmp_path, monkeypatch):
    assert refused(tmp_path) == f"{tmp_path}: no robot.yaml in this folder; write one with liquid-spike new {tmp_path}"
    gone = tmp_path / "gone.yaml"
    assert refused(gone) == f"{gone}: No such file or directory; give a robot's name, its folder or its yaml file"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RobotError) as refusal:
        robot_named("leg")
    remedy = "for one of your own give its folder, as in ./leg, or write it with liquid-spike new leg"
    assert str(refusal.value) == f"unknown robot 'leg'; known: {', '.join(descriptions())}; {remedy}"


def test_an_extension_that_is_not_there(folder):
    (folder / "robot.yaml").write_text("extends: gone.yaml\n")
    says = "gone.yaml: No such file or directory; give a robot's name, its folder or its yaml file"
    assert refused(folder) == says


@pytest.mark.parametrize(("path", "value", "says"), [
    ("readings.0.mujoco", {"joint": "knee", "field": "position"},
     "readings (angle).mujoco: the scene has no joint 'knee'; name one of hinge, free"),
    ("readings.0.mujoco", {"joint": "free", "field": "position"},
     "readings (angle).mujoco: 'free' is a free or ball joint; give a sensor, or a body's fields"),
    ("readings.0.mujoco", {"body": "leg", "field": "x"},
     "readings (angle).mujoco: the scene has no body 'leg'; name one of world, arm, ball"),
    ("readings.1.mujoco.sensor", "imu", "readings (rate).mujoco: the scene has no sensor 'imu'; name one of gyro"),
    ("readings.1.mujoco.index", 3, "readings (rate).mujoco.index: 3; give 0 to 2"),
    ("estimates.0.mujoco.site", "toe", "estimates (bearing).mujoco: the scene has no site 'toe'; name one of tip"),
    ("commands.0.mujoco.actuator", "wheel",
     "commands (torque).mujoco: the scene has no actuator 'wheel'; name one of motor"),
    ("cameras.0.mujoco", "nose", "cameras (eye).mujoco: the scene has no camera 'nose'; name one of eye"),
    ("cameras.0.frame_s", 0.001,
     "cameras (eye).frame_s: 0.001; give a whole multiple of the scene's timestep, 0.002 s"),
    ("scene", None, "scene: not set; give the MJCF file of its simulation"),
    ("scene", "other.xml", "scene: other.xml is not there; give an MJCF file in the robot's folder"),
    ("task", "task", "task: 'task'; give file.py:Class, or package.module:Class"),
    ("task", "task.py:Reach it", "task: 'task.py:Reach it'; give file.py:Class, or package.module:Class"),
    ("task", "gone.py:Reach", "task: gone.py is not there; give a file in the robot's folder"),
    ("task", "no.such.module:Reach",
     "task: no.such.module:Reach: ModuleNotFoundError: No module named 'no'; correct the task's file"),
])  # fmt: skip
def test_what_the_scene_does_not_have_is_named(folder, path, value, says):
    write(folder, (path, value))
    assert refused(folder, lambda folder: task_of(read_robot(folder))) == f"robot.yaml: {says}"


@pytest.mark.parametrize("period_s", [0.003, 0.0001, 1e-320])
def test_a_period_that_is_no_multiple_of_the_timestep(folder, period_s):
    write(folder, ("period_s", period_s), ("cameras", []), ("estimates", []))
    says = f"robot.yaml: period_s: {period_s}; give a whole multiple of the scene's timestep, 0.002 s"
    assert refused(folder, lambda folder: task_of(read_robot(folder))) == says


@pytest.mark.parametrize(("scene", "says"), [
    ("<mujoco", "XML parse error"),
    ('<mujoco><worldbody><geom type="nope"/></worldbody></mujoco>', "XML Error: invalid keyword: 'nope'"),
    ('<mujoco><asset><mesh file="no.stl"/></asset></mujoco>', "Error: Error opening file 'no.stl'"),
])  # fmt: skip
def test_a_scene_that_is_no_mjcf(folder, scene, says):
    (folder / "scene.xml").write_text(scene)
    said = refused(folder, lambda folder: task_of(read_robot(folder)))
    assert said.startswith(f"robot.yaml: scene: scene.xml: {says}") and said.endswith("; correct it")


IMPORT = "from liquid_spike_control.tasks.mujoco_task import MujocoTask\n"
REACH = f"{IMPORT}class Reach(MujocoTask):\n    def __init__(self, robot):\n"


@pytest.mark.parametrize(("code", "says"), [
    ("1 / 0\n", "task.py, line 1: ZeroDivisionError: division by zero; correct the task's file"),
    ("def (\n", "task.py:Reach: SyntaxError: invalid syntax (task.py, line 1); correct the task's file"),
    ("import numpie\n", "task.py, line 1: ModuleNotFoundError: No module named 'numpie'; correct the task's file"),
    ("raise SystemExit(3)\n", "task.py, line 1: SystemExit: 3; correct the task's file"),
    (IMPORT, "task.py has no task Reach; give one of its classes: it has none"),
    ("class Reach: ...\n",
     "task.py has no task Reach; derive it from liquid_spike_control.tasks.mujoco_task.MujocoTask"),
    (f"{REACH}        raise KeyError('gain')\n", "task.py, line 4: KeyError: 'gain'; correct the task's class"),
    (f"{IMPORT}class Reach(MujocoTask):\n    def begin(self, rng):\n        self.data.qpos[99] = 1\n",
     "task.py, line 4: IndexError: index 99 is out of bounds for axis 0 with size 8; correct the task's class"),
])  # fmt: skip
def test_a_task_that_cannot_be_used(folder, code, says):
    write(folder, ("task", "task.py:Reach"))
    (folder / "task.py").write_text(code)
    assert refused(folder, lambda folder: task_of(read_robot(folder))) == f"robot.yaml: task: {says}"


def test_a_setting_that_the_task_does_not_have(folder):
    (folder / "task.py").write_text(f"{REACH}        super().__init__(robot)\n")
    says = "robot.yaml: task: task.py:Reach has no setting 'gain'; it takes none"
    write(folder, ("task", "task.py:Reach"))
    assert refused(folder, lambda folder: task_of(read_robot(folder), gain=2)) == says
    write(folder, ("task", "task.py:Reach"), ("settings", {"gain": 2}))
    assert refused(folder, lambda folder: task_of(read_robot(folder))) == says


def test_a_robot_without_an_expert(folder):
    robot = read_robot(folder)
    task = task_of(robot)
    with pytest.raises(RobotError, match="task: no expert; give the task a method law"):
        task.expert().act(task)


PENCIL = robot_named("pencil")
CONTROLLER, PERCEPTION = (Path(PENCIL.folder) / getattr(PENCIL, field) for field in ("controller", "perception"))
ANOTHER = "give a controller trained for this robot and task, or change the configuration"
CHOOSE = "choose a model trained for it"


def but(entries, **changes):
    """Entries of which the first is changed."""
    return (msgspec.structs.replace(entries[0], **changes), *entries[1:])


@pytest.mark.parametrize(("changes", "says"), [
    ({"readings": PENCIL.readings[:1]},
     "observation_names: expected ['cart_position', 'pole_angle', 'pole_rate'], "
     "found ['cart_position', 'cart_velocity', 'pole_angle', 'pole_rate']"),
    ({"readings": but(PENCIL.readings, unit="mm")},
     "observation_units: expected ['mm', 'm/s', 'rad', 'rad/s'], found ['m', 'm/s', 'rad', 'rad/s']"),
    ({"commands": but(PENCIL.commands, name="wheel")}, "command_names: expected ['wheel'], found ['cart_force']"),
    ({"commands": but(PENCIL.commands, unit="kN")}, "command_units: expected ['kN'], found ['N']"),
    ({"commands": but(PENCIL.commands, least=-4.0, most=4.0)}, "command_limits: expected at most [4.0], found [10.0]"),
    ({"period_s": 0.01}, "nominal_period_s: expected 0.01, found 0.005"),
])  # fmt: skip
def test_a_controller_of_another_robot(changes, says):
    with pytest.raises(ModelError) as refusal:
        read_robot_controller(msgspec.structs.replace(PENCIL, **changes))
    assert str(refusal.value) == f"{CONTROLLER}: {says}; {ANOTHER}"


@pytest.mark.parametrize(("changes", "says"), [
    ({"cameras": but(PENCIL.cameras, width=128)}, "input_encoding are (64, 64), the robot has (128, 64)"),
    ({"estimates": but(PENCIL.estimates, unit="deg")},
     "feature_units are ('rad', 'rad/s'), the robot has ('deg', 'rad/s')"),
    ({"estimates": but(PENCIL.estimates, name="tilt")},
     "feature_names are ('pole_angle', 'pole_rate'), the robot has ('tilt', 'pole_rate')"),
])  # fmt: skip
def test_a_perception_of_another_robot(changes, says):
    with pytest.raises(ModelError) as refusal:
        read_robot_perception(msgspec.structs.replace(PENCIL, **changes))
    assert str(refusal.value) == f"{PERCEPTION}: {says}; {CHOOSE}"


@pytest.mark.parametrize("field", ["controller", "perception"])
def test_a_model_that_is_not_there(folder, field):
    read = {"controller": read_robot_controller, "perception": read_robot_perception}[field]
    says = f"robot.yaml: {field}: not set; give a model file, or --{field}-model"
    assert refused(folder, lambda folder: read(read_robot(folder))) == says
    write(folder, (field, "gone.nir"))
    says = f"robot.yaml: {field}: gone.nir is not there; train one: liquid-spike train {field} robot.yaml"
    assert refused(folder, lambda folder: read(read_robot(folder))) == says


def test_a_file_of_another_kind_is_no_model():
    with pytest.raises(ModelError, match=r"pencil/perception\.nir: kind: expected spiking_controller, found none"):
        read_robot_controller(PENCIL, shipped_model("pencil/perception.nir"))
    with pytest.raises(ModelError, match=r"pencil/controller\.safetensors: not a whole NIR file"):
        read_robot_perception(PENCIL, shipped_model("pencil/controller.safetensors"))


@pytest.mark.parametrize(("changes", "task", "says"), [
    ([("period_s", -1.0)], "", f"period_s: -1.0; {ABOVE_0}"),
    ([("readings.1.mujoco.sensor", "imu")], "", "the scene has no sensor 'imu'; name one of gyro"),
    ([("task", "task.py:Reach")], "1 / 0\n", "ZeroDivisionError: division by zero; correct the task's file"),
])  # fmt: skip
def test_commands_say_it_in_one_line_and_exit_with_2(folder, changes, task, says):
    write(folder, *changes)
    (folder / "task.py").write_text(task)
    done = cli("train", "controller", folder, "--rounds", 1)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1 and "robot.yaml: " in done.stderr and says in done.stderr
