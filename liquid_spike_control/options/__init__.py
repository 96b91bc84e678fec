# SPDX-License-Identifier: Apache-2.0
"""The options of each ``liquid-spike`` command; their docstrings are its help texts."""

from .benchmarks import (
    BenchOptions,
    BenchPencilOptions,
    BenchPolicyOptions,
    ClosedLoopOptions,
    HopsOptions,
    ScaleOptions,
    SequenceOptions,
    StepsOptions,
)
from .controllers import ControllerExportOptions, ControllerInspectOptions
from .graph import (
    DoctorOptions,
    FaultsOptions,
    KeystoreOptions,
    NewOptions,
    PolicyOptions,
    RunOptions,
    SecurityOptions,
    ViewOptions,
)
from .networks import (
    CompareOptions,
    CompileOptions,
    EmulateOptions,
    EnergyOptions,
    FuzzOptions,
    InspectOptions,
    ModelOptions,
    SpikeOptions,
)
from .records import (
    EventsConvertOptions,
    EventsInfoOptions,
    EventsOptions,
    EventsPlayOptions,
    PacketOptions,
    RecordOptions,
    ReplayOptions,
)
from .training import LearningOptions, TrainExpertOptions, TrainOptions, TrainPolicyOptions

__all__ = [
    "BenchOptions",
    "BenchPencilOptions",
    "BenchPolicyOptions",
    "ClosedLoopOptions",
    "CompareOptions",
    "CompileOptions",
    "ControllerExportOptions",
    "ControllerInspectOptions",
    "DoctorOptions",
    "EmulateOptions",
    "EnergyOptions",
    "EventsConvertOptions",
    "EventsInfoOptions",
    "EventsOptions",
    "EventsPlayOptions",
    "FaultsOptions",
    "FuzzOptions",
    "HopsOptions",
    "InspectOptions",
    "KeystoreOptions",
    "LearningOptions",
    "ModelOptions",
    "NewOptions",
    "PacketOptions",
    "PolicyOptions",
    "RecordOptions",
    "ReplayOptions",
    "RunOptions",
    "ScaleOptions",
    "SecurityOptions",
    "SequenceOptions",
    "SpikeOptions",
    "StepsOptions",
    "TrainExpertOptions",
    "TrainOptions",
    "TrainPolicyOptions",
    "ViewOptions",
]
