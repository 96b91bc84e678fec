# SPDX-License-Identifier: Apache-2.0
"""Options of ``liquid-spike record``, ``replay`` and ``events``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from .fields import Options, Output, OutputFile, Picture, Pixels, Range, Video


@dataclass
class RecordOptions(Options):
    """Options of ``record``."""

    out: Annotated[Path, Output((".mcap",))]
    """The .mcap file to write."""
    topics: tuple[str, ...] = ()
    """Topics to record; default: every topic with a publisher, now or later."""
    duration: Annotated[float, Range(1e-3, 1e9, "s")] | None = None
    """Duration of the recording [s]; default: until Ctrl-C."""


@dataclass
class ReplayOptions(Options):
    """Options of ``replay``."""

    bag: tyro.conf.Positional[Path]
    """A .mcap or .db3 file, or a folder of ros2 bag; one that a crash cut off is read up to the cut."""
    perception_model: Path | None = None
    """Perception model, a .nir file; default: the bag's if it still exists unchanged, or else the shipped one."""
    controller_model: Path | None = None
    """Controller, a .safetensors or .nir file; default: as for the perception model."""
    other_models: bool = False
    """Replay with models other than those of the bag, to see the differences."""
    mode: Literal["lockstep", "realtime"] | None = None
    """lockstep: end to end, without losses. realtime: stage by stage. Default: the bag's mode, or else realtime."""
    events: str | None = None
    """Topic of the event packets; default: the bag's, or else /event_camera/events."""
    joints: str | None = None
    """Topic of the robot's own state; default: the bag's, or else /joint_states."""
    command: str = "/controller/command"
    """Topic of the commands before the gate."""
    gated: str | None = None
    """Topic of the commands after the gate; default: the bag's, or else /robot_joint_command."""
    plot: Picture = None
    """Write a plot of recorded and replayed estimates and commands, and of their differences."""
    video: Video = None
    """Write a video of a simulated run, .gif or .mp4 (needs the extra [video])."""
    json: OutputFile = None
    """Write the numbers to this JSON file."""


@dataclass
class EventsOptions(Options):
    """Options of a recording of an event camera."""

    file: tyro.conf.Positional[Path]
    """.raw (EVT2, EVT2.1, EVT3), .dat, .aedat4, .es, .h5, .csv, .txt, or a bag with event packets."""
    topic: str = "/event_camera/events"
    """Topic of the event packets, in a bag."""
    size: tuple[Pixels, Pixels] | None = None
    """Width and height of the picture [pixels], for files that do not contain it."""
    track: str | None = None
    """Camera, in a file with several: the number of an AEDAT4 track, left or right of M3ED."""
    clock: Literal["stamp", "sensor"] = "stamp"
    """Clock of a bag's evt3 packets. stamp: counted from their time base. sensor: the camera's, as drivers send it."""


@dataclass
class EventsInfoOptions(EventsOptions):
    """Options of ``events info``."""

    json: OutputFile = None
    """Write the numbers to this JSON file."""


@dataclass
class HotPixelsOptions(EventsOptions):
    """Options of a search for hot pixels."""

    out: OutputFile = None
    """Write the mask, a .json file for a camera's front_end in a robot's description."""
    rate: Annotated[float, Range(1e-3, 1e6, "Hz")] = 2.0
    """Least rate of a hot pixel [Hz]; none has fewer than 10 events."""
    factor: Annotated[float, Range(1.0, 1e6)] = 10.0
    """Least ratio of a hot pixel's events to those of the pixels around it."""


@dataclass
class PacketOptions(EventsOptions):
    """Options of the conversion of events to packets."""

    encoding: Literal["evt3", "mono"] = "evt3"
    """Encoding of the packets. evt3: microseconds, 2 to 8 bytes an event. mono: nanoseconds, 8 bytes."""
    window: Annotated[float, Range(1e-6, 1.0, "s")] = 0.005
    """Duration of a packet [s]; empty ones are sent too."""
    driver: bool = False
    """Send packets as a camera's driver does: evt3 on the sensor's clock, stamped with the time of the first event."""


@dataclass
class EventsConvertOptions(PacketOptions):
    """Options of ``events convert``."""

    out: tyro.conf.Positional[Annotated[Path, Output()]] = tyro.MISSING
    """The file to write: .mcap for a bag of event packets, or .raw, .dat, .aedat4, .es, .csv."""
    start: Annotated[float, Range(0.0, 2**31 - 1, "s")] | None = None
    """Time at which the bag begins [s]; default: the recording's, or 1 s if it begins earlier."""
    version: Literal["evt2", "evt3"] | None = None
    """Version of a .raw file; default: evt3."""


@dataclass
class EventsPlayOptions(PacketOptions):
    """Options of ``events play``."""

    speed: Annotated[float, Range(1e-3, 1e3)] = 1.0
    """Playback speed, as a multiple of real time."""
    repeat: bool = False
    """Repeat from the beginning, until Ctrl-C."""
