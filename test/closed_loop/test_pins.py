# SPDX-License-Identifier: Apache-2.0
"""Declared versions stand for what they say: behaviour that changes has to raise one."""

import json

import pytest

pytest.importorskip("torch")
pytest.importorskip("gymnasium")

import pins

PINNED = json.loads(pins.FILE.read_text())


#: Trainings of a minute and more.
SLOW = {"spiking networks", "task pencil-hard"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in pins.COMPONENTS])
def test_behaviour_is_that_of_the_declared_version(name):
    version, _, tolerance = pins.COMPONENTS[name]
    renew = "python test/closed_loop/pins.py"
    assert name in PINNED, f"{name} has no fingerprint yet; run {renew}"
    pinned = PINNED[name]
    if pinned["version"] != version():
        pytest.fail(f"{name} is of version {version()}, its fingerprint of version {pinned['version']}; run {renew}")
    if changed := pins.differences(pinned["fingerprint"], pins.fingerprint(name), tolerance):
        pytest.fail(
            f"bump the version of {name} or undo the change (other versions of libraries can be a cause too): "
            + "; ".join(changed[:5])
        )


def test_every_declared_version_has_a_fingerprint():
    versions = set(pins.COMPONENTS) - {name for name in pins.COMPONENTS if name.startswith("task ")}
    assert versions == set(pins.VERSIONS)
    assert {name.removeprefix("task ") for name in set(pins.COMPONENTS) - versions} == set(pins.PUBLISHED_TASKS)
    assert set(PINNED) == set(pins.COMPONENTS)


def test_a_change_of_physics_is_seen(monkeypatch):
    """As small a one as half a percent of the pole's mass."""
    from liquid_spike_control.robots.swing_up.task import SwingUp

    begin = SwingUp._begin

    def heavier(self, variation):
        begin(self, variation)
        self.model.body_mass[-1] *= 1.005

    monkeypatch.setattr(SwingUp, "_begin", heavier)
    tolerance = pins.COMPONENTS["task swing-up"][2]
    changed = pins.differences(PINNED["task swing-up"]["fingerprint"], pins.fingerprint("task swing-up"), tolerance)
    assert changed and changed[0].startswith("/nominal[")
    assert not pins.differences(PINNED["task hover"]["fingerprint"], pins.fingerprint("task hover"), tolerance)


def test_differences_name_the_first_number():
    was = {"a": [1.0, 2.0], "b": {"c": 3, "d": None}}
    assert pins.differences(was, {"a": [1.0, 2.0 + 1e-9], "b": {"c": 3, "d": None, "new": 1}}, pins.STEPS) == []
    assert pins.differences(was, {"a": [1.0, 2.1], "b": {"c": 3, "d": None}}, pins.STEPS) == [
        "/a[1]: 2 pinned, 2.1 found"
    ]
    assert pins.differences(was, {"a": [1.0], "b": {"c": 4}}, pins.STEPS) == [
        "/a: 2 numbers pinned, 1 found", "/b/c: 3 pinned, 4 found",
    ]  # fmt: skip


def test_a_fingerprint_is_not_replaced_under_its_version(tmp_path, monkeypatch):
    file = tmp_path / "pins.json"
    monkeypatch.setattr(pins, "FILE", file)
    monkeypatch.setattr(pins, "COMPONENTS", {"laws": (lambda: 1, lambda: {"x": [2.0]}, pins.STEPS)})
    file.write_text(json.dumps({"laws": {"version": 1, "fingerprint": {"x": [1.0]}}}))
    with pytest.raises(SystemExit, match="laws: changed under version 1: /x\\[0\\]: 1 pinned, 2 found"):
        pins.write()
    file.write_text(json.dumps({"laws": {"version": 0, "fingerprint": {"x": [1.0]}}}))
    pins.write()
    assert json.loads(file.read_text()) == {"laws": {"version": 1, "fingerprint": {"x": [2.0]}}}
