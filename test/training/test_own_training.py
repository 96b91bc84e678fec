# SPDX-License-Identifier: Apache-2.0
"""A robot's own training of its perception, a class of its folder."""

import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")

from liquid_spike_control.assembly import read_robot_perception
from liquid_spike_control.errors import RobotError
from liquid_spike_control.options import TrainOptions
from liquid_spike_control.robot_file import read_robot
from liquid_spike_control.training.entry import train_command

ARM = Path(__file__).parents[1] / "robots/arm"

OWN = '''
from pathlib import Path

from liquid_spike_control.robot_file import read_robot
from liquid_spike_control.training.own_training import Stage
from liquid_spike_control.training.random_features import RandomFeatures, train_random_features


class Random:
    """Draws random features, once for each update, and keeps the last ones."""

    def __init__(self, seed, updates, progress):
        self._seed, self._updates = seed, updates or 2
        progress(1.0)

    @classmethod
    def of_command(cls, seed, updates, start, progress):
        return cls(seed, updates, progress)

    n_neurons = 16

    def stages(self):
        return (Stage("drawing", self._updates, 1.0, False),)

    def begin(self, stage):
        self.stage = stage

    def update(self):
        self._seed += 1
        return {"seed": float(self._seed)}

    def progress_text(self, recent):
        return f"seed {recent[-1]['seed']:.0f}"

    def finish(self):
        self._features = RandomFeatures(n_neurons=self.n_neurons, episodes=2, seconds=0.5, seed=self._seed)

    def write(self, path, command):
        train_random_features(read_robot(Path(__file__).parent), self._features, path, command)
'''


@pytest.fixture
def arm(tmp_path):
    folder = tmp_path / "arm"
    shutil.copytree(ARM, folder)
    with open(folder / "robot.yaml", "a") as description:
        description.write("perception_training: own.py:Random\n")
    (folder / "own.py").write_text(OWN)
    return folder


def test_it_takes_the_place_of_the_general_training(arm, capsys):
    options = TrainOptions(str(arm), seed=3, updates=4, out=arm / "perception.nir", logs=arm / "logs")
    assert train_command("perception", options) == 0
    assert "16 neurons, trained in" in capsys.readouterr().out
    model = read_robot_perception(read_robot(arm))
    assert model.metadata["training"]["seed"] == 7
    assert model.metadata["training_command"] == f"liquid-spike train perception {arm} --seed 3 --updates 4"
    (log,) = (arm / "logs").iterdir()
    assert log.read_bytes().count(b"\x0a\x04seed") == 4


@pytest.mark.parametrize(("place", "says"), [
    ("other.py:Random", "perception_training: {arm}/other.py is not there; give a file in the robot's folder"),
    ("own.py:Rand", "perception_training: own.py has no perception_training Rand; give one of its classes: Random"),
    ("own.py:Stage", "perception_training: own.py:Stage is no training; give it the methods of "
     "liquid_spike_control.training.own_training.OwnTraining"),
])  # fmt: skip
def test_a_class_that_is_none_is_named(arm, place, says):
    description = arm / "robot.yaml"
    description.write_text(description.read_text().replace("own.py:Random", place))
    with pytest.raises(RobotError) as refused:
        train_command("perception", TrainOptions(str(arm), out=arm / "perception.nir"))
    assert str(refused.value) == f"{description}: {says.format(arm=arm)}"
