# SPDX-License-Identifier: Apache-2.0
"""The options of each ``liquid-spike`` command; their docstrings are its help texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass
class RunOptions:
    """What can be said about a run."""

    task: tyro.conf.Positional[str] = "pencil"
    """What to do: pencil, or robot: the graph on a robot's own topics, until Ctrl-C."""
    config: Path | None = None
    """robot: the yaml file that describes it; config/robot_cart.yaml is one."""
    seed: int = 0
    """Of the episode; the same seed gives the same pushes, pole and noise."""
    duration: float = 20.0
    """Simulated seconds."""
    mode: Literal["lockstep", "realtime"] = "realtime"
    """lockstep: as fast as it goes, the same bytes every time. realtime: at the pace of the wall clock."""
    backend: Literal["offload", "in_process"] = "offload"
    """Where the spiking network runs: on its own node, or in the perception's process."""
    simulator: Literal["loihi", "float", "lava", "nengo_loihi", "brian2_loihi"] = "loihi"
    """What runs it on its own node: our emulator, the same without rounding, or others' (`make oracles`; slow)."""
    push: float | None = None
    """Impulse of a push [N s]; the task's own if not given."""
    perception_model: Path | None = None
    """A .nir file; the shipped one if not given."""
    controller_model: Path | None = None
    """A .safetensors file; the shipped one if not given."""
    record: Path | None = None
    """Write every topic to this .mcap file."""
    plot: Path | None = None
    """Write a picture of the run: angle, command, events, spikes."""
    json: Path | None = None
    """Write the table's numbers."""
    priority: int = 0
    """Real-time priority of the nodes (SCHED_RR 1 to 98, needs permission); 0 is ordinary scheduling."""
    in_process: bool = False
    """Run the same loop in this process, without ROS."""


@dataclass
class TrainOptions:
    """What can be said about a training of the pencil's models."""

    task: tyro.conf.Positional[str] = "pencil"
    """What for: pencil or pencil-hard."""
    out: Path | None = None
    """File to write; by default named after the task, such as pencil_perception.nir, in this folder."""
    perception: Path | None = None
    """controller: the perception to train on; the shipped one if not given. perception of pencil-hard: what to start
    from; the pencil's if not given.
    """
    seed: int = 1
    """Of everything that chance decides."""
    updates: int | None = None
    """perception: optimiser steps of the first stage, if not the full training; the others follow in proportion."""
    rounds: int | None = None
    """controller: DAgger rounds, if not the full training."""
    controller: str = "cfc_mm"
    """controller of pencil-hard: its architecture, as large as the default; an unknown name lists them all."""
    hide_elapsed: bool = False
    """controller of pencil-hard: do not tell it how much time has passed, neither as an input nor as a time span."""


@dataclass
class LearningOptions:
    """What can be said about a training on a task of the catalogue."""

    task: tyro.conf.Positional[str]
    """Such as swing-up; an unknown name lists them all."""
    out: Path | None = None
    """File to write; by default named after the task, in this folder. Beside it lies a checkpoint while it is made:
    the same command goes on from there.
    """
    seed: int = 1
    """Of everything that chance decides."""
    logs: Path | None = None
    """Folder for event files that TensorBoard reads."""


@dataclass
class TrainPolicyOptions(LearningOptions):
    """What can be said about the training of a controller."""

    controller: str = "cfc_mm"
    """Its architecture, such as cfc, ltc or gru, or spiking (CUBA-LIF, a .nir file); unknown names list the others."""
    units: int | None = None
    """Neurons of a layer; the architecture's own if not given."""
    budget_parameters: int | None = None
    """Instead of units: the size with the number of parameters nearest to this."""
    hide_elapsed: bool = False
    """Do not tell the network how much time has passed: neither as an input nor as a time span."""
    rounds: int | None = None
    """Of collecting and learning, if not the full training."""
    passes: int | None = None
    """Sweeps over what was collected, in a round."""
    learning_rate: float | None = None
    """At the start."""
    cloning: bool = False
    """Behaviour cloning: the expert drives in all rounds."""
    rewards: bool = False
    """Learn from rewards (recurrent PPO), not from an expert; takes far longer."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: CUDA where there is one. Its weights differ from those of the CPU by rounding."""


@dataclass
class TrainExpertOptions(LearningOptions):
    """What can be said about the training of an expert."""

    updates: int | None = None
    """Rollouts, each followed by an optimisation, if not the full training."""


@dataclass
class BenchOptions:
    """What can be said about a benchmark."""

    seeds: str = "1000:1020"
    """Held-out seeds, first:last+1."""
    duration: float | None = None
    """Simulated seconds of an episode; 60 if not given."""
    push: float | None = None
    """Impulse of a push [N s] (pencil); 0.06 if not given."""
    variants: str = ""
    """Comma-separated: lqr_true, lqr_spiking, cfc_float, cfc_loihi, cfc_frames; all if not given."""
    perception_model: Path | None = None
    """A .nir file; the shipped one if not given."""
    controller_model: Path | None = None
    """A .safetensors file; the shipped one if not given."""
    jobs: int = 2
    """Processes."""
    json: Path | None = None
    """Write the figures."""
    plot: Path | None = None
    """Write a picture (push, snn, energy)."""


@dataclass
class BenchPencilOptions(BenchOptions):
    """What can be said about the comparison of controllers on the pencil."""

    task: Literal["pencil", "pencil-hard"] = "pencil"
    """pencil-hard: 20 s and gusts of 0.015 N s unless said otherwise; its variants are expert, lqr_true, lqr_spiking,
    cfc_float, cfc_loihi, gru_loihi, untimed_loihi.
    """
    rendered: bool = False
    """pencil-hard: render every picture whole, twenty times slower; do not lay the rendered pole over the wall."""


@dataclass
class HopsOptions:
    """What can be said about the measuring of the graph's hops."""

    duration: float = 30.0
    """Seconds."""
    priority: int = 0
    """Real-time priority of the nodes (SCHED_RR 1 to 98, needs permission); 0 is ordinary scheduling."""
    json: Path | None = None
    """Write the figures."""


@dataclass
class ScaleOptions:
    """What can be said about the measuring of the tasks' scales."""

    tasks: tyro.conf.Positional[tuple[str, ...]] = ()
    """Names of tasks; all if not given."""
    seeds: str = "500000:500100"
    """Held-out seeds, first:last+1; the scales' own, so that nothing else is judged on them."""
    record: bool = False
    """Write the figures into the package, in place of those of the same tasks."""


@dataclass
class ClosedLoopOptions:
    """What can be said about the comparison of controllers on tasks."""

    plan: Literal["smoke", "published"] = "smoke"
    """smoke: a few controllers, hardly trained, minutes. published: everything, hours. The options below change it."""
    controllers: str = ""
    """Comma-separated; an unknown name lists them all."""
    tasks: str = ""
    """Comma-separated; an unknown name lists them all."""
    perturbations: str = ""
    """Comma-separated; an unknown name lists them all."""
    training_seeds: str = ""
    """Of the networks, first:last+1, from 1 on."""
    episodes: int | None = None
    """Of each perturbation."""
    rounds: int | None = None
    """Of DAgger, if not the plan's."""
    cache: Path | None = None
    """Folder where results and networks are kept; by default the user's cache."""
    results: tuple[Path, ...] = ()
    """Folders of results that are read too, e.g. docs/benchmark/results."""
    engine: Literal["processes", "ray"] = "processes"
    """processes: of this machine. ray: tasks of the cluster at RAY_ADDRESS, or of one that is started here."""
    jobs: int = 2
    """Cells at once."""
    out: Path | None = None
    """Folder for the report: report.html, report.md, its pictures, and the result of every cell."""
    report_only: bool = False
    """Run nothing; report on what the cache has."""


@dataclass
class SequenceOptions:
    """What can be said about the comparison of sequence models on published tasks."""

    task: tyro.conf.Positional[Literal["xor", "walker2d"]] = "xor"
    """xor: parity of event-based bit streams. walker2d: the next state of a walker that is seen irregularly."""
    models: str = ""
    """Comma-separated: cfc_mm, cfc, lstm, gru_d, ltc; all if not given."""
    seeds: str = "0:1"
    """Of the weights and of the order of the sequences, first:last+1."""
    small: bool = False
    """A tenth of the sequences for a few epochs: about a minute, to see it at work."""
    cache: Path | None = None
    """Folder where results and half-done fits are kept; by default the user's cache."""
    json: Path | None = None
    """Write the figures."""
    plot: Path | None = None
    """Write a picture of the learning curves."""


@dataclass
class StepsOptions:
    """What can be said about the comparison of single steps of controllers."""

    rounds: int = 20
    """Of 250 steps each; the fastest counts."""
    json: Path | None = None
    """Write the figures."""
    plot: Path | None = None
    """Write a picture."""


@dataclass
class ControllerInspectOptions:
    """What can be said about a look into a controller."""

    model: tyro.conf.Positional[Path]
    """A controller file (.safetensors)."""
    plot: Path | None = None
    """Write a picture of its wiring: neurons in layers, excitatory and inhibitory synapses."""
    json: Path | None = None
    """Write the numbers."""


@dataclass
class ControllerExportOptions:
    """What can be said about an export."""

    model: tyro.conf.Positional[Path]
    """A controller file (.safetensors)."""
    out: tyro.conf.Positional[Path]
    """The .onnx file to write."""


@dataclass
class ModelOptions:
    """Which network, and how it becomes steps."""

    model: tyro.conf.Positional[Path]
    """A .nir file, lava-dl's netx (.net, .h5), or a compiled network (.safetensors)."""
    preset: str | None = None
    """Whose discretisation a foreign .nir follows, e.g. snntorch, norse, sinabs; an unknown name lists them all."""
    dt: float | None = None
    """Step of a .nir in the unit of its time constants, where neither preset nor file says."""
    step: float | None = None
    """How long a step lasts [s], where the file does not say; 0.001 if nothing does."""
    shape: tuple[int, int, int] | None = None
    """Channels, height and width of the input, where the file does not say."""
    json: Path | None = None
    """Write the numbers."""


@dataclass
class SpikeOptions(ModelOptions):
    """Which network, and what spikes come in."""

    spikes: Path | None = None
    """Input spikes: .npz, .npy, NIR samples (.nir, .h5), a recorded run (.mcap), or event files that faery reads."""
    node: str | None = None
    """Whose spikes, in a file of NIR samples that has several nodes."""
    rate: float = 10.0
    """Without a file: random spikes, so many a second on each input [Hz]."""
    steps: int = 1000
    """Without a file: how many steps."""
    seed: int = 0
    """Without a file: of the random spikes."""


@dataclass
class InspectOptions(SpikeOptions):
    """What can be said about a look into a network."""

    plot: Path | None = None
    """Write a picture of the chip's cores: how full they are, and the messages between them on the input spikes."""


@dataclass
class CompileOptions(ModelOptions):
    """What can be said about a compilation."""

    out: Path | None = None
    """File to write; by default the model's name with .safetensors in this folder."""
    bits: int = 8
    """Of a weight, without its sign: 1 to 8."""
    exponent: int | None = None
    """Of the weights, -8 to 7; by default each connection's own, the one that loses least."""
    calibration: Path | None = None
    """Sample spikes on which each layer's weights are chosen, in the formats that `run` reads."""
    node: str | None = None
    """Whose spikes, in a file of NIR samples that has several nodes."""


@dataclass
class EmulateOptions(SpikeOptions):
    """What can be said about a run of a network."""

    backend: Literal["loihi", "float", "lava", "nengo_loihi", "brian2_loihi"] = "loihi"
    """loihi: our emulator. float: the same without rounding. The others: other people's simulators (make oracles)."""
    payloads: Path | None = None
    """Numbers instead of spikes, for networks that take them: .npy, integers (steps, inputs)."""
    out: Path | None = None
    """Write the output spikes: .npz, .npy (with payloads, where there are any) or .nir."""
    plot: Path | None = None
    """Write a picture: every population's spikes, and the membranes of a few neurons."""
    traces: int = 3
    """Membranes in the picture, a population; 0: none."""


@dataclass
class CompareOptions(SpikeOptions):
    """What can be said about a comparison of the float network with its integers."""

    bits: int = 8
    """Of a weight, without its sign: 1 to 8."""
    plot: Path | None = None
    """Write a picture of the agreement."""


@dataclass
class EnergyOptions(SpikeOptions):
    """What can be said about an estimate of energy."""

    inference: int | None = None
    """Steps that count as one inference; by default all."""
    plot: Path | None = None
    """Write a picture: energy of one inference by device."""


@dataclass
class FuzzOptions:
    """What can be said about a comparison with another simulator."""

    simulator: tyro.conf.Positional[Literal["lava", "nengo_loihi", "brian2_loihi"]]
    """Whose; `make oracles` installs them."""
    neuron_steps: int = 1_000_000
    """Neurons times steps to be compared; each is a current, a voltage and a spike."""
    seed: int = 0
    """Of the first network; the next ones count up."""
    folder: Path = Path()
    """Where a mismatch is written: the network and its input."""
    json: Path | None = None
    """Write the numbers."""


@dataclass
class RecordOptions:
    """What can be said about a recording of whatever graph is on the ROS domain."""

    out: Path
    """The .mcap file to write."""
    topics: tuple[str, ...] = ()
    """What is recorded; every topic that somebody publishes, now or later, if not given."""
    duration: float | None = None
    """Seconds; until Ctrl-C if not given."""


@dataclass
class ReplayOptions:
    """What can be said about a replay of a bag through the models."""

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
    plot: Path | None = None
    """Write a picture: recorded and replayed estimates and commands, and where they differ."""
    json: Path | None = None
    """Write the numbers."""


@dataclass
class EventsOptions:
    """Which recording of an event camera."""

    file: tyro.conf.Positional[Path]
    """.raw (EVT2, EVT3), .dat, .aedat4, .es, DSEC's .h5, or a bag with event packets."""
    topic: str = "/event_camera/events"
    """Of the event packets, in a bag."""
    size: tuple[int, int] | None = None
    """Width and height of the picture [pixels], for files that do not say."""
    clock: Literal["stamp", "sensor"] = "stamp"
    """Of a bag's evt3 packets. stamp: counted from their time base. sensor: the camera's own, as drivers send it."""


@dataclass
class EventsInfoOptions(EventsOptions):
    """What can be said about a look into a recording."""

    json: Path | None = None
    """Write the numbers."""


@dataclass
class PacketOptions(EventsOptions):
    """How events become packets."""

    encoding: Literal["evt3", "mono"] = "evt3"
    """Of the packets. evt3: microseconds, 2 to 8 bytes an event. mono: nanoseconds, 8 bytes."""
    window: float = 0.005
    """How long a packet lasts [s]; empty ones are sent too."""
    driver: bool = False
    """Packets as a camera's driver sends them: evt3 on the sensor's clock, the stamp is that of the first event."""


@dataclass
class EventsConvertOptions(PacketOptions):
    """What can be said about a conversion."""

    out: tyro.conf.Positional[Path] = tyro.MISSING
    """The file to write: .mcap for a bag of event packets, or .raw, .dat, .aedat4, .es."""
    start: float | None = None
    """Time at which the bag begins [s]; as the recording says, or 1 s if it begins earlier."""
    version: Literal["evt2", "evt3"] | None = None
    """Of a .raw file; evt3 if not given."""


@dataclass
class EventsPlayOptions(PacketOptions):
    """What can be said about a recording that takes a camera's place."""

    speed: float = 1.0
    """Times real time."""
    repeat: bool = False
    """From the beginning again, until Ctrl-C."""


@dataclass
class DoctorOptions:
    """What can be said about a look at the machine."""

    json: Path | None = None
    """Write the findings."""


@dataclass
class FaultsOptions:
    """Which faults are injected."""

    only: tuple[str, ...] = ()
    """Names of faults, e.g. `--only estop gate_killed`; all if not given."""
    thorough: bool = False
    """Inject as often and as long as the published table did: half an hour."""
    priority: int = 0
    """Real-time priority of the nodes in the soak (SCHED_RR 1 to 98, needs permission); 0 is ordinary scheduling."""
    json: Path | None = None
    """Write the table."""


@dataclass
class SecurityOptions:
    """Which graph the permissions are for."""

    config: Path | None = None
    """A robot's yaml file; the pencil's graph if not given."""
    mode: Literal["lockstep", "realtime"] = "realtime"
    """Of the pencil's graph."""
    backend: Literal["offload", "in_process"] = "offload"
    """Of the pencil's graph: where the spiking network runs."""


@dataclass
class PolicyOptions(SecurityOptions):
    """What can be said about a policy."""

    out: Path | None = None
    """File to write; printed if not given."""


@dataclass
class KeystoreOptions(SecurityOptions):
    """What can be said about a keystore."""

    folder: tyro.conf.Positional[Path] = tyro.MISSING
    """Folder to make."""
