# SPDX-License-Identifier: Apache-2.0
"""Errors that a user can correct. The command line prints them as one line and exits with status 2."""


class LiquidSpikeError(Exception):
    """An option, a file or a value from the user is wrong; the message names it and the remedy."""

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
    """Off-screen GL is not available."""


class GraphError(LiquidSpikeError):
    """The ROS graph cannot be started, because of a port, a domain or a package."""


class WorkerError(LiquidSpikeError):
    """An external simulator is not installed, does not answer, or has failed."""


class LearningRuleError(ModelError):
    """A learning rule uses a feature that the chip's learning engine lacks, or does not fit its synapses."""
