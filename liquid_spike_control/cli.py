# SPDX-License-Identifier: Apache-2.0
"""Console script ``liquid-spike``. Each command imports its modules when it runs, so that ``--help`` is fast."""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stdout, suppress
from typing import Annotated, Literal, NoReturn

import tyro

from . import __version__, kernel_cache
from .ctrl_c import note_interrupts
from .errors import LiquidSpikeError
from .extras import missing_gl, missing_package
from .options import (
    BenchAdaptationOptions,
    BenchAgreementOptions,
    BenchEnergyOptions,
    BenchOptions,
    BenchPolicyOptions,
    BenchReservoirOptions,
    BenchRobotOptions,
    ClosedLoopOptions,
    CompareOptions,
    CompileOptions,
    ControllerExportOptions,
    ControllerInspectOptions,
    DoctorOptions,
    EmulateOptions,
    EnergyOptions,
    EventsConvertOptions,
    EventsInfoOptions,
    EventsPlayOptions,
    FaultsOptions,
    FuzzOptions,
    HopsOptions,
    HotPixelsOptions,
    InspectOptions,
    KeystoreOptions,
    NewOptions,
    PolicyOptions,
    RecordOptions,
    ReplayOptions,
    RunOptions,
    ScaleOptions,
    SequenceOptions,
    StepsOptions,
    TrainExpertOptions,
    TrainOptions,
    TrainPolicyOptions,
    TrainReservoirOptions,
    TrainRewardOptions,
    ViewOptions,
)
from .options.fields import registry
from .terminal import is_of_output, visible

DESCRIPTION = "Perceive with spikes, decide with a liquid neural network: run a robot, train its models, measure them."

if os.environ.get("NO_COLOR"):  # rich reads it, tyro does not
    getattr(tyro, "_experimental_options", {})["ansi_codes"] = False

app = tyro.extras.SubcommandApp()


@app.command
def run(options: Annotated[RunOptions, tyro.conf.arg(name="")]) -> int:
    """Run a robot over ROS 2, or in one process. Exit status 0: the episode succeeded, 1: it failed."""
    from .nodes.run import run_command

    return run_command(options)


@app.command
def view(options: Annotated[ViewOptions, tyro.conf.arg(name="")]) -> int:
    """Show a running graph, or a bag, on a page in the browser: the robot, events, spikes, commands.

    A graph in simulation can be paused, pushed and stopped from there; a bag is played at any speed from any time.
    """
    from .records.bag import is_bag

    if not options.real and is_bag(options.source):
        from .records.view_entry import view_bag_command

        return view_bag_command(options)
    from .nodes.view import view_command

    return view_command(options)


@app.command
def robots() -> int:
    """List the robots of this package and of other packages."""
    from .robots.commands import robots_command

    return robots_command()


@app.command
def new(options: Annotated[NewOptions, tyro.conf.arg(name="")]) -> int:
    """Write the folder of a new robot, as an ament_python package with tests."""
    from .robots.commands import new_command

    return new_command(options)


train = tyro.extras.SubcommandApp()


@train.command(name="perception")
def train_perception(options: Annotated[TrainOptions, tyro.conf.arg(name="")]) -> int:
    """Train a robot's spiking perception on episodes that its task's expert drives."""
    from .training.entry import train_command

    return train_command("perception", options)


@train.command(name="controller")
def train_controller(options: Annotated[TrainOptions, tyro.conf.arg(name="")]) -> int:
    """Train a robot's liquid network with its perception in the loop."""
    from .training.entry import train_command

    return train_command("controller", options)


@train.command(name="policy")
def train_policy(options: Annotated[TrainPolicyOptions, tyro.conf.arg(name="")]) -> int:
    """Train a controller of any architecture by imitation of the expert of a task (DAgger)."""
    from .training.entry import policy_command

    return policy_command(options)


@train.command(name="expert")
def train_expert(options: Annotated[TrainExpertOptions, tyro.conf.arg(name="")]) -> int:
    """Train the expert of a Gymnasium task from its rewards (PPO), as the shipped one."""
    from .training.entry import expert_command

    return expert_command(options)


@train.command(name="reward")
def train_reward(options: Annotated[TrainRewardOptions, tyro.conf.arg(name="")]) -> int:
    """Learn a robot's commands by reward, with plastic synapses on the Loihi emulator. Needs no torch."""
    from .training.reward_command import reward_command

    return reward_command(options)


@train.command(name="reservoir")
def train_reservoir(options: Annotated[TrainReservoirOptions, tyro.conf.arg(name="")]) -> int:
    """Train the readout of a spiking reservoir on a series, in one go or on line. Needs no torch."""
    from .training.reservoir_command import reservoir_command

    return reservoir_command(options)


app.command(train, name="train", help="Train models, as the shipped ones. Needs the extra [train].")


bench = tyro.extras.SubcommandApp()


@bench.command(name="robot")
def bench_robot(options: Annotated[BenchRobotOptions, tyro.conf.arg(name="")]) -> int:
    """Measure success, accuracy, work and latency of a robot's controllers, also over a setting of its task."""
    from .bench.entry import robot_command

    return robot_command(options)


@bench.command(name="agreement")
def bench_agreement(options: Annotated[BenchAgreementOptions, tyro.conf.arg(name="")]) -> int:
    """Measure what the integers of a robot's perception change beside float64: spikes, estimates, commands."""
    from .bench.agreement import agreement_command

    return agreement_command(options)


@bench.command(name="snn")
def bench_snn(options: Annotated[BenchOptions, tyro.conf.arg(name="")]) -> int:
    """Time one step of a 49,224-neuron network, beside plain torch."""
    from .bench.entry import bench_command

    return bench_command("snn", options)


@bench.command(name="lava")
def bench_lava(options: Annotated[BenchOptions, tyro.conf.arg(name="")]) -> int:
    """Time the network of `bench snn` and two others beside Intel's Lava, which `make oracles` installs."""
    from .bench.entry import bench_command

    return bench_command("lava", options)


@bench.command(name="energy")
def bench_energy(options: Annotated[BenchEnergyOptions, tyro.conf.arg(name="")]) -> int:
    """Estimate the energy of the network of `bench snn` and of a robot's perception."""
    from .bench.energy import energy_command

    return energy_command(options)


@bench.command(name="controllers")
def bench_controllers(options: Annotated[StepsOptions, tyro.conf.arg(name="")]) -> int:
    """Time one step of each kind of controller, beside ncps and onnxruntime. Needs the extras [train] and [onnx]."""
    from .bench.controllers import controllers_command

    return controllers_command(options)


@bench.command(name="closed-loop")
def bench_closed_loop(options: Annotated[ClosedLoopOptions, tyro.conf.arg(name="")]) -> int:
    """Evaluate liquid, gated, memoryless and spiking controllers under perturbations. Needs the extra [train].

    Exit status 1: cells came to nothing.
    """
    from .bench.closed_loop.command import closed_loop_command

    return closed_loop_command(options)


@bench.command(name="policy")
def bench_policy(options: Annotated[BenchPolicyOptions, tyro.conf.arg(name="")]) -> int:
    """Evaluate controller files on the tasks that they were trained for, under perturbations."""
    from .bench.policy import policy_command

    return policy_command(options)


@bench.command(name="adaptation")
def bench_adaptation(options: Annotated[BenchAdaptationOptions, tyro.conf.arg(name="")]) -> int:
    """PD, PID, PD with a spiking term that learns, and computed torque on an arm whose payload or motor changes."""
    from .robots.arm.benchmark import adaptation_command

    return adaptation_command(options)


@bench.command(name="sequence")
def bench_sequence(options: Annotated[SequenceOptions, tyro.conf.arg(name="")]) -> int:
    """Evaluate CfC, LTC, LSTM and GRU-D on two tasks of the CfC paper, beside its figures. Needs the extra [train]."""
    from .bench.sequence.command import sequence_command

    return sequence_command(options)


@bench.command(name="reservoir")
def bench_reservoir(options: Annotated[BenchReservoirOptions, tyro.conf.arg(name="")]) -> int:
    """Measure memory, separation and NARMA-10 of a spiking reservoir, beside an echo-state network and a CfC."""
    from .bench.reservoir.command import reservoir_command

    return reservoir_command(options)


@bench.command(name="scale")
def bench_scale(options: Annotated[ScaleOptions, tyro.conf.arg(name="")]) -> int:
    """Measure the rewards of random commands and of the expert on each task: 0 and 100 of its score."""
    from .bench.scale import scale_command

    return scale_command(options)


@bench.command(name="hops")
def bench_hops(options: Annotated[HopsOptions, tyro.conf.arg(name="")]) -> int:
    """Measure the latency of messages between the graph's nodes, beside two bare rclpy processes."""
    from .nodes.hops.command import hops_command

    return hops_command(options)


app.command(bench, name="bench", help="Benchmarks: closed loops on held-out seeds, and the speed of single steps.")


controller = tyro.extras.SubcommandApp()


@controller.command(name="inspect")
def controller_inspect(options: Annotated[ControllerInspectOptions, tyro.conf.arg(name="")]) -> int:
    """Describe a controller: observations, commands, architecture, and its wiring as a plot."""
    from .liquid.commands import inspect_command

    return inspect_command(options)


@controller.command(name="export")
def controller_export(options: Annotated[ControllerExportOptions, tyro.conf.arg(name="")]) -> int:
    """Write a controller as ONNX and check it against onnxruntime. Needs the extra [onnx].

    Exit status 1: it does not.
    """
    from .liquid.commands import export_command

    return export_command(options)


app.command(controller, name="controller", help="Inspect controllers, export them to other runtimes.")


neuromorphic = tyro.extras.SubcommandApp()


@neuromorphic.command
def inspect(options: Annotated[InspectOptions, tyro.conf.arg(name="")]) -> int:
    """Describe a network: its contents, whether Loihi can run it, and how many cores it takes."""
    from .neuromorphic.commands.inspect import inspect_command

    return inspect_command(options)


@neuromorphic.command(name="compile")
def compile_(options: Annotated[CompileOptions, tyro.conf.arg(name="")]) -> int:
    """Quantise a network to integers, report the loss of accuracy, and write one file."""
    from .neuromorphic.commands.compile import compile_command

    return compile_command(options)


@neuromorphic.command(name="run")
def emulate(options: Annotated[EmulateOptions, tyro.conf.arg(name="")]) -> int:
    """Run a network on Loihi's arithmetic, or in floats: spikes in, spikes out, rates and work."""
    from .neuromorphic.commands.run import run_command

    return run_command(options)


@neuromorphic.command
def compare(options: Annotated[CompareOptions, tyro.conf.arg(name="")]) -> int:
    """Measure how well the quantised network agrees with the float network."""
    from .neuromorphic.commands.compare import compare_command

    return compare_command(options)


@neuromorphic.command
def energy(options: Annotated[EnergyOptions, tyro.conf.arg(name="")]) -> int:
    """Estimate the energy of one inference on several devices, from published figures."""
    from .neuromorphic.commands.energy import energy_command

    return energy_command(options)


@neuromorphic.command
def fuzz(options: Annotated[FuzzOptions, tyro.conf.arg(name="")]) -> int:
    """Compare random networks with another simulator. Exit status 0: identical results, 1: a mismatch."""
    from .neuromorphic.commands.fuzz import fuzz_command

    return fuzz_command(options)


app.command(
    neuromorphic, name="neuromorphic", help="Inspect, quantise and run a spiking network on Loihi's arithmetic."
)


@app.command
def record(options: Annotated[RecordOptions, tyro.conf.arg(name="")]) -> int:
    """Record the graph on this ROS domain into one MCAP file, until Ctrl-C."""
    from .nodes.record import record_command

    return record_command(options)


@app.command
def replay(options: Annotated[ReplayOptions, tyro.conf.arg(name="")]) -> int:
    """Run a bag through its models. Exit status 0: the commands are the same, byte for byte; 1: they differ."""
    from .records.entry import replay_command

    return replay_command(options)


events = tyro.extras.SubcommandApp()


@events.command(name="info")
def events_info(options: Annotated[EventsInfoOptions, tyro.conf.arg(name="")]) -> int:
    """Print duration, picture size, event rates and order. Exit status 1: events out of order or out of the picture."""
    from .records.events_entry import info_command

    return info_command(options)


@events.command(name="convert")
def events_convert(options: Annotated[EventsConvertOptions, tyro.conf.arg(name="")]) -> int:
    """Write a recording in another format, or as a bag of event packets."""
    from .records.events_entry import convert_command

    return convert_command(options)


@events.command(name="hot-pixels")
def events_hot_pixels(options: Annotated[HotPixelsOptions, tyro.conf.arg(name="")]) -> int:
    """Find the pixels that fire in any scene, and write them as a mask for a camera's front end."""
    from .records.events_entry import hot_pixels_command

    return hot_pixels_command(options)


@events.command(name="play")
def events_play(options: Annotated[EventsPlayOptions, tyro.conf.arg(name="")]) -> int:
    """Publish a recording on this ROS domain, as a camera's driver would."""
    from .nodes.play import play_command

    return play_command(options)


app.command(events, name="events", help="Inspect, convert and play recordings of event cameras.")


@app.command
def doctor(options: Annotated[DoctorOptions, tyro.conf.arg(name="")]) -> int:
    """Check this machine, its ROS domain and its cameras. Exit status 0: no error, 1: an error, with its remedy."""
    from .nodes.doctor.command import doctor_command

    return doctor_command(options)


@app.command
def faults(options: Annotated[FaultsOptions, tyro.conf.arg(name="")]) -> int:
    """Inject faults, some into real processes, and print the measured values beside their bounds."""
    from .nodes.faults.table import faults_command

    return faults_command(options)


security = tyro.extras.SubcommandApp()


@security.command
def policy(options: Annotated[PolicyOptions, tyro.conf.arg(name="")]) -> int:
    """Write the graph's permissions as an SROS2 policy: each node may publish and subscribe only what it needs."""
    from .nodes.security.command import policy_command

    return policy_command(options)


@security.command
def keystore(options: Annotated[KeystoreOptions, tyro.conf.arg(name="")]) -> int:
    """Create keys, certificates and signed permissions for every process of the graph. Needs the extra [security]."""
    from .nodes.security.command import keystore_command

    return keystore_command(options)


app.command(security, name="security", help="Permissions and keys of a graph, for SROS2.")


@app.command
def completion(shell: Annotated[Literal["bash", "zsh", "fish"], tyro.conf.Positional]) -> int:
    """Print completion for a shell. In ~/.bashrc: `source <(liquid-spike completion bash)`."""
    from .completion import completion_script
    from .robots.catalogue import descriptions

    written = io.StringIO()
    with redirect_stdout(written):
        _parse("--tyro-print-completion", shell)
    print(completion_script(written.getvalue(), sorted(descriptions())), end="")
    return 0


def _refuse(error: LiquidSpikeError) -> NoReturn:
    _say(error)
    sys.exit(error.status)


def _interrupted() -> NoReturn:
    print("liquid-spike: interrupted", file=sys.stderr)
    # CPython remembers an interrupt that left an exec() of a string, as where numba compiles, and under `python -m`
    # ends by the signal instead of the status; another exec() clears that
    exec("")
    sys.exit(130)


def main() -> None:
    """Console script: status 2 and one line for an error that the user can correct, 130 after Ctrl-C."""
    came = note_interrupts()
    try:
        status = _command()
        sys.stdout.flush()  # here, where a full disk behind it can be reported
        sys.exit(status or 0)
    except LiquidSpikeError as error:
        _refuse(error)
    except ImportError as error:
        if came:  # a library may report an interrupt of its import as another error
            _interrupted()
        if missing := missing_package(error) or missing_gl(error):
            _refuse(missing)
        raise
    except RuntimeError as error:
        if came:
            _interrupted()
        if explained := kernel_cache.explain(error):
            _refuse(explained)
        raise
    except KeyboardInterrupt:
        _interrupted()
    except BrokenPipeError:  # the reader closed the pipe, as in `liquid-spike --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the last flush would fail aloud
        sys.exit(141)  # as a process that SIGPIPE ended
    except OSError as error:
        if not is_of_output(error):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _say(f"standard output: {error.strerror}; make room, or send it elsewhere")
        sys.exit(1)
    except Exception as error:  # AttributeError or ctypes.ArgumentError, as PyOpenGL likes
        if came:
            _interrupted()
        if without := missing_gl(error):
            _refuse(without)
        raise


def _command() -> int | str | None:
    """Run the command of the command line; its exit status."""
    if sys.argv[1:] == ["--version"]:
        print(f"liquid-spike {__version__}")
        return 0
    if not sys.argv[1:]:
        from .robots.next_steps import print_next_steps

        return print_next_steps()
    return _parse(*sys.argv[1:])


def _parse(*arguments: str) -> int | str | None:
    """Parse arguments and run their command; its exit status."""
    try:
        with registry:
            return app.cli(
                prog="liquid-spike", description=DESCRIPTION, args=arguments, config=(tyro.conf.FlagCreatePairsOff,)
            )
    except SystemExit as end:  # after a help text, or a misspelt option
        return end.code


def _say(what: object) -> None:
    with suppress(OSError):  # a full disk behind stderr leaves the exit status
        print(f"liquid-spike: {visible(' '.join(str(what).splitlines()))}", file=sys.stderr, flush=True)
