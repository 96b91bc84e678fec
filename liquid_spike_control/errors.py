# SPDX-License-Identifier: Apache-2.0
"""Errors that a user can mend. The command line prints them as one line and exits with status 2."""


class LiquidSpikeError(Exception):
    """Something is wrong with what the user gave; the message names it and the remedy."""

    #: Exit status of the command.
    status = 2


class ModelError(LiquidSpikeError):
    """A model file is damaged, or does not fit the robot or the task."""


class RobotError(LiquidSpikeError):
    """A description of a robot is wrong, or does not fit its scene or its models."""


class TaskError(LiquidSpikeError):
    """A task, seed range or parameter is unknown or out of range."""


class OutputError(LiquidSpikeError):
    """A file could not be written after the work: the disk is full or has failed. Exit status 1."""

    status = 1


class RenderingError(LiquidSpikeError):
    """No off-screen GL is to be had."""


class GraphError(LiquidSpikeError):
    """The ROS graph cannot be started: a port, a domain or a package is in the way."""


class WorkerError(LiquidSpikeError):
    """Another simulator is not installed, does not answer, or has failed."""


class LearningRuleError(ModelError):
    """A learning rule asks for what the chip's learning engine does not have, or does not fit its synapses."""
