# SPDX-License-Identifier: Apache-2.0
"""Options of ``liquid-spike record``, ``replay`` and ``events``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from .fields import Options, Output, OutputFile, Pixels, Range


@dataclass
class RecordOptions(Options):
    """Options of a recording of whatever graph is on the ROS domain."""

    out: Annotated[Path, Output()]
    """The .mcap file to write."""
    topics: tuple[str, ...] = ()
    """What is recorded; every topic that somebody publishes, now or later, if not given."""
    duration: Annotated[float, Range(1e-3, 1e9, "s")] | None = None
    """Seconds; until Ctrl-C if not given."""


@dataclass
class ReplayOptions(Options):
    """Options of a replay of a bag through the models."""

    bag: tyro.conf.Positional[Path]
    """A .mcap or .db3 file, or a folder of ros2 bag; one that a crash cut off is read up to the cut."""
    perception_model: Path | None = None
    """A .nir file; the one that the bag names if it is still there and the same, or the shipped one."""
    controller_model: Path | None = None
    """A .safetensors file, likewise."""
    other_models: bool = False
    """Replay although the models are not those of the bag, to see what differs."""
    mode: Literal["lockstep", "realtime"] | None = None
    """lockstep: end to end, nothing may be lost. realtime: stage by stage. As the bag tells, or else realtime."""
    events: str | None = None
    """Topic of the event packets; as the bag tells, or /event_camera/events."""
    joints: str | None = None
    """Topic of the robot's own state; as the bag tells, or /joint_states."""
    command: str = "/controller/command"
    """Topic of the commands before the gate."""
    gated: str | None = None
    """Topic of the commands behind the gate; as the bag tells, or /robot_joint_command."""
    plot: OutputFile = None
    """Write a picture: recorded and replayed estimates and commands, and where they differ."""
    video: OutputFile = None
    """Write a moving picture of a simulated run, .gif or .mp4 (needs the extra [video])."""
    json: OutputFile = None
    """Write the numbers."""


@dataclass
class EventsOptions(Options):
    """Which recording of an event camera."""

    file: tyro.conf.Positional[Path]
    """.raw (EVT2, EVT2.1, EVT3), .dat, .aedat4, .es, .h5, .csv, .txt, or a bag with event packets."""
    topic: str = "/event_camera/events"
    """Of the event packets, in a bag."""
    size: tuple[Pixels, Pixels] | None = None
    """Width and height of the picture [pixels], for files that do not say."""
    track: str | None = None
    """Which camera of a file with several: the number of an AEDAT4 track, left or right of M3ED."""
    clock: Literal["stamp", "sensor"] = "stamp"
    """Of a bag's evt3 packets. stamp: counted from their time base. sensor: the camera's own, as drivers send it."""


@dataclass
class EventsInfoOptions(EventsOptions):
    """Options of a look into a recording."""

    json: OutputFile = None
    """Write the numbers."""


@dataclass
class HotPixelsOptions(EventsOptions):
    """Options of a search for hot pixels."""

    out: OutputFile = None
    """Write the mask, a .json file for a camera's front_end in a robot's description."""
    rate: Annotated[float, Range(1e-3, 1e6, "Hz")] = 2.0
    """Least rate of a hot pixel [Hz]; none has fewer than 10 events."""
    factor: Annotated[float, Range(1.0, 1e6)] = 10.0
    """How many times the events of the pixels around it a hot one has."""


@dataclass
class PacketOptions(EventsOptions):
    """How events become packets."""

    encoding: Literal["evt3", "mono"] = "evt3"
    """Of the packets. evt3: microseconds, 2 to 8 bytes an event. mono: nanoseconds, 8 bytes."""
    window: Annotated[float, Range(1e-6, 1.0, "s")] = 0.005
    """How long a packet lasts [s]; empty ones are sent too."""
    driver: bool = False
    """Packets as a camera's driver sends them: evt3 on the sensor's clock, the stamp is that of the first event."""


@dataclass
class EventsConvertOptions(PacketOptions):
    """Options of a conversion."""

    out: tyro.conf.Positional[Annotated[Path, Output()]] = tyro.MISSING
    """The file to write: .mcap for a bag of event packets, or .raw, .dat, .aedat4, .es, .csv."""
    start: Annotated[float, Range(0.0, 2**31 - 1, "s")] | None = None
    """Time at which the bag begins [s]; as the recording says, or 1 s if it begins earlier."""
    version: Literal["evt2", "evt3"] | None = None
    """Of a .raw file; evt3 if not given."""


@dataclass
class EventsPlayOptions(PacketOptions):
    """Options of a recording that takes a camera's place."""

    speed: Annotated[float, Range(1e-3, 1e3)] = 1.0
    """Times real time."""
    repeat: bool = False
    """From the beginning again, until Ctrl-C."""
