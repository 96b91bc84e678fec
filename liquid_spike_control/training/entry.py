# SPDX-License-Identifier: Apache-2.0
"""What ``liquid-spike train`` does with its options."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..bench.entry import settings_in
from ..bench.variants import chosen_variants, controller_file
from ..errors import LiquidSpikeError, RobotError, TaskError
from ..liquid.architecture import NAMES, matched, named
from ..liquid.echo_state import NAME as ECHO_STATE
from ..outputs import check_outputs
from ..robots.catalogue import DISTURBED, ESTIMATED, PERCEIVED, TRUTH, robot_named, sensed_task_named
from ..spiking.policy_file import SpikingArchitecture
from ..spiking.reservoir import NAME as RESERVOIR
from ..terminal import Console
from .bag_episodes import bag_episodes, parse_targets
from .labelled_events import is_events, labelled_episodes, parse_label_targets
from .recorded_episodes import EpisodeSet, cache_folder, expert_episodes, own_episodes

if TYPE_CHECKING:
    from ..options import LearningOptions, TrainExpertOptions, TrainOptions, TrainPolicyOptions
    from ..robot import Robot
    from ..spiking.layers import LayeredNetwork
    from .dagger import DaggerTraining
    from .networks import AnyArchitecture

#: What ends a robot's name for each ``--estimates`` that is no class.
ESTIMATES = {"spiking": "", "truth": TRUTH, "disturbed": DISTURBED}
#: Each ``--controller`` that is none of :data:`~..liquid.architecture.NAMES`; of the random ones the readout is learnt.
SPIKING, RANDOM = "spiking", (RESERVOIR, ECHO_STATE)


def train_command(what: str, options: TrainOptions) -> int:
    """Train the perception or the controller of a robot.

    Raises:
        LiquidSpikeError: torch or ncps is missing, or an option is out of range.
    """
    if what == "perception":
        return _train_perception(options)
    for name in ("updates", "network", "random_features", "data", "target", "preset", "dt", "step"):
        if getattr(options, name):
            option = name.replace("_", "-")
            raise TaskError(f"--{option} belongs to the training of a perception, not of a controller; leave it out")
    return policy_command(_as_policy(options))


def _train_perception(options: TrainOptions) -> int:
    """A perception of any robot; by the robot's own training where it has one, unless another way is given."""
    if options.random_features:
        _check_processor(options, "--random-features")
        return _train_random_features(options)
    if options.network and options.network.suffix.lower() == ".nir":
        _check_processor(options, f"--network {options.network}")
        return _fit_foreign(options)
    for name in ("preset", "dt", "step"):
        if getattr(options, name) is not None:
            raise TaskError(f"--{name} belongs to --network FILE.nir; leave it out")
    robot = robot_named(options.task)
    if robot.perception_training is None or any((options.network, options.data, options.target)):
        return _train_layers(options)
    _check_processor(options, f"the training that {robot.name} brings")
    if options.rounds is not None:
        raise TaskError("--rounds belongs to the training of a controller, not of a perception; leave it out")
    with _training_installed():
        from ..tasks.of_robot import class_named
        from .commands import train_in_stages
    training = class_named(robot, "perception_training", robot.perception_training)
    if not hasattr(training, "of_command"):
        remedy = "give it the methods of liquid_spike_control.training.own_training.OwnTraining"
        raise RobotError(f"{robot.source}: perception_training: {robot.perception_training} is no training; {remedy}")
    out = options.out or Path(f"{robot.name}_perception.nir".replace("-", "_"))
    prepare = partial(training.of_command, options.seed, options.updates, options.perception)
    train_in_stages(prepare, _command("perception", options), out, Console(), options.logs)
    return 0


def _check_processor(options: TrainOptions, what: str) -> None:
    if options.device == "cuda":
        raise TaskError(f"{what} trains on the CPU; leave --device out")


def _train_layers(options: TrainOptions) -> int:
    """A perception of layers that are learnt, for any robot with cameras."""
    from ..spiking.layers import default_network, read_layers

    for name in ("perception", "rounds"):
        if getattr(options, name) is not None:
            raise TaskError(f"--{name} belongs to the training of a controller, not of a perception; leave it out")
    with _training_installed():
        from .commands import OwnEpisodes, train_layers
        from .learning import device_named
    device, robot = device_named(options.device), robot_named(options.task)
    path = options.network or robot.file("network.yaml")
    network = read_layers(path) if options.network or path.is_file() else default_network(robot.period_s)
    if options.updates is not None:
        network = msgspec.structs.replace(
            network, training=msgspec.structs.replace(network.training, updates=options.updates)
        )
    command = _command("perception", options) + (f" --network {options.network.name}" if options.network else "")
    out = options.out or robot.file("perception.nir")
    episodes, own = _episodes(robot, network, options), None
    if network.training.on_policy:
        if options.data:
            raise TaskError(f"{path}: training.on_policy: needs a simulation; leave it out, or --data")
        _check_driver(robot, network.training.driver, path)
        folder = cache_folder()
        own = OwnEpisodes(folder, partial(own_episodes, robot, network, options.seed, folder, options.workers))
    train_layers(robot, network, options.seed, out, command, episodes, Console(), options.logs, own, device)
    return 0


def _check_driver(robot: Robot, variant: str, path: Path) -> None:
    """Refuse, before the work, a driver of on-policy episodes that is not there."""
    try:
        if variant:
            controller_file(robot, chosen_variants(robot, (variant,))[variant])
        else:
            robot.model("controller")
    except LiquidSpikeError as error:
        raise TaskError(f"{path}: training.driver: {error}") from None


def _episodes(
    robot: Robot, network: LayeredNetwork, options: TrainOptions
) -> Callable[[Callable[[float], None]], EpisodeSet]:
    """What gets the episodes: from bags, from recordings with labels, or from the expert in simulation."""
    if bool(options.data) != bool(options.target):
        raise TaskError("--data and --target belong together; give both or neither")
    if options.data and (of_files := [path for path in options.data if is_events(path)]):
        if len(of_files) < len(options.data):
            other = next(path for path in options.data if path not in of_files)
            raise TaskError(f"--data {other}: a bag beside {of_files[0]}, a recording of events; give one kind")
        return partial(labelled_episodes, robot, network, options.data, parse_label_targets(robot, options.target))
    if options.data:
        return partial(bag_episodes, robot, network, options.data, parse_targets(robot, options.target))
    return partial(expert_episodes, robot, network, options.seed, cache_folder(), options.workers)


def _fit_foreign(options: TrainOptions) -> int:
    """A perception out of a network that is there; how episodes are recorded is the robot's network.yaml's."""
    from ..spiking.layers import Training, default_network, read_layers
    from .foreign_network import ForeignFile, fit_foreign, foreign_network

    for name in ("perception", "rounds", "updates", "logs"):
        if getattr(options, name) is not None:
            raise TaskError(f"--{name} does not belong to --network {options.network}; leave it out")
    assert options.network is not None
    robot = robot_named(options.task)
    own = robot.file("network.yaml")
    usual = read_layers(own) if own.is_file() else default_network(robot.period_s)
    file = ForeignFile(options.network, options.preset, options.dt, options.step)
    training = usual.training if own.is_file() else Training()
    training = msgspec.structs.replace(training, on_policy=0.0, driver="")  # its neurons are as they are
    model, network = foreign_network(robot, file, usual.readout_taus_s, training)
    command = _command("perception", options) + f" --network {options.network.name}"
    for name in ("preset", "dt", "step"):
        command += "" if getattr(options, name) is None else f" --{name} {getattr(options, name)}"
    metadata = {"training_command": command, "training": {"network": options.network.name, "hash": model.hash}}
    out = options.out or robot.file("perception.nir")
    fit_foreign(robot, model, network, out, metadata, _episodes(robot, network, options), Console())
    return 0


def _train_random_features(options: TrainOptions) -> int:
    """A perception of random features for any robot with cameras."""
    from rich.progress import Progress

    from .random_features import RandomFeatures, train_random_features

    for name in ("perception", "rounds", "updates", "network", "data", "target", "logs", "preset", "dt", "step"):
        if getattr(options, name):
            raise TaskError(f"--{name} does not belong to --random-features; leave one out")
    robot, console = robot_named(options.task), Console()
    out = options.out or robot.file("perception.nir")
    check_outputs({"out": (".nir",)}, out=out)
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("recording episodes", total=1.0)
        errors = train_random_features(
            robot, RandomFeatures(seed=options.seed), out, f"liquid-spike train perception {robot.name}"
            f" --random-features --seed {options.seed}", lambda part: progress.update(bar, completed=part),
        )  # fmt: skip
    console.print(f"{out}; on held-out episodes, on the Loihi emulator:", soft_wrap=True)
    for name, (rms, spread) in errors.items():
        console.print(f"  {name}: error {rms:.3g} rms; it varies by {spread:.3g}")
    return 0


def _as_policy(options: TrainOptions) -> TrainPolicyOptions:
    """The same training, by imitation of the task's expert."""
    from ..options import TrainPolicyOptions

    return TrainPolicyOptions(
        options.task, out=options.out, seed=options.seed, controller=options.controller,
        hide_elapsed=options.hide_elapsed, rounds=options.rounds, perception=options.perception, logs=options.logs,
        device=options.device,
    )  # fmt: skip


def policy_command(options: TrainPolicyOptions) -> int:
    """Train a controller to imitate a task's expert.

    Raises:
        LiquidSpikeError: something is missing, unknown or out of range.
    """
    if options.units is not None and options.budget_parameters is not None:
        raise TaskError("--units and --budget-parameters both give the size; leave one out")
    if options.faults is not None and not 0 <= options.faults < 2:
        raise TaskError(f"--faults {options.faults}; give a factor of at least 0, which is none, and less than 2")
    if options.rewards and options.faults is not None:
        raise TaskError("--faults belongs to imitation and --rewards does without it; leave one out")
    if options.rewards and options.cloning:
        raise TaskError("--cloning imitates an expert and --rewards does without one; leave one out")
    if options.rewards and options.teacher is not None:
        raise TaskError("--teacher is imitated and --rewards does without one; leave one out")
    if options.rewards and options.duration is not None:
        raise TaskError("--duration belongs to imitation; --rewards cuts its rollouts by itself; leave one out")
    if options.rewards and options.chunk is not None:
        raise TaskError("--chunk belongs to imitation; --rewards has chunks of its own; leave one out")
    if options.rewards and options.set:
        raise TaskError("--set belongs to imitation; --rewards trains under the description's settings; leave it out")
    _check_perception(options)
    if options.device == "cuda" and (options.rewards or options.controller in (SPIKING, *RANDOM)):
        source = "--rewards" if options.rewards else f"--controller {options.controller}"
        raise TaskError(f"{source} trains on the CPU; leave --device out")
    if options.controller in RANDOM:
        for name in ("rewards", "passes", "learning_rate", "chunk"):
            if getattr(options, name):
                raise TaskError(
                    f"--{name.replace('_', '-')}: of '{options.controller}' only the readout is learnt, in one go; "
                    "leave it out"
                )
    architecture = _architecture(options)
    out = _out(options, f"{_stem(options.task)}_{options.controller}".replace("-", "_"))
    with _training_installed():
        from .dagger import training_of
        from .learning import OutputFiles, learn_policy
        from .recurrent_ppo import PpoTraining
    config: DaggerTraining | PpoTraining
    given: dict[str, Any]
    if options.rewards:
        config = PpoTraining(seed=options.seed)
        given = {"n_updates": options.rounds, "epochs": options.passes, "learning_rate": options.learning_rate}
    else:
        cloned = {"expert_share": 1.0} if options.cloning else {}
        config = _under_faults(training_of(_named(options), options.seed, **cloned), options.faults)
        config = replace(config, settings={**config.settings, **dict(settings_in(options.set))})
        given = {"n_rounds": options.rounds, "duration_s": options.duration, "passes": options.passes,
                 "chunk": options.chunk, "learning_rate": options.learning_rate,
                 "teacher": options.teacher}  # fmt: skip
    config = replace(config, **{name: value for name, value in given.items() if value is not None})
    files = OutputFiles(out, options.logs, _command_line("policy", options))
    learn_policy(_named(options), architecture, config, options.device, files, Console())
    return 0


def _named(options: TrainPolicyOptions) -> str:
    """The robot, with what its estimates are."""
    if options.perception is not None:
        return f"{options.task}{PERCEIVED}{options.perception}"
    if ":" in options.estimates:
        return f"{options.task}{ESTIMATED}{options.estimates}"
    return options.task + ESTIMATES[options.estimates]


def _check_perception(options: TrainPolicyOptions) -> None:
    """Refuse a perception where nothing is perceived, and estimates of an unknown kind."""
    if ":" not in options.estimates and options.estimates not in ESTIMATES:
        raise TaskError(f"--estimates {options.estimates}: give {', '.join(ESTIMATES)}, or file.py:Class")
    if ":" in options.estimates and not robot_named(options.task).estimates:
        raise TaskError(f"--estimates {options.estimates}: the robot {options.task} has no estimates; leave it out")
    if options.perception is None:
        return
    if options.estimates != "spiking":
        raise TaskError(f"--perception and --estimates {options.estimates} both give the estimates; leave one out")
    if not robot_named(options.task).estimates:
        raise TaskError(f"--perception {options.perception}: the robot {options.task} has no estimates; leave it out")


def _stem(robot: str) -> str:
    """The name of a robot, for names of files."""
    return robot_named(robot).name


def _architecture(options: TrainPolicyOptions) -> AnyArchitecture:
    """What is to be trained, sized for the task."""
    task = sensed_task_named(_named(options))
    _check_known(options.controller)
    units = {} if options.units is None else {"units": options.units}
    if options.controller in (SPIKING, *RANDOM) and options.budget_parameters is not None:
        raise TaskError(f"--budget-parameters does not size a controller '{options.controller}'; give --units instead")
    if options.controller in RANDOM:
        with _training_installed():
            from .random_networks import RandomNetwork
        return RandomNetwork(options.controller, elapsed_input=not options.hide_elapsed, **units)
    hidden = {"elapsed_input": False, "elapsed_span": False} if options.hide_elapsed else {}
    if options.controller == SPIKING:
        architecture = SpikingArchitecture(elapsed_input=not options.hide_elapsed)
        return architecture if options.units is None else replace(architecture, units=(options.units,))
    if options.budget_parameters is not None:
        sizes = len(task.observation_names), len(task.command_names)
        return matched(options.controller, options.budget_parameters, *sizes, **hidden)
    return named(options.controller, **units, **hidden)


def _check_known(controller: str) -> None:
    if controller not in (SPIKING, *RANDOM, *NAMES):
        known = ", ".join((*NAMES, SPIKING, *RANDOM))
        raise TaskError(f"unknown controller '{controller}'; known controllers: {known}")


def _out(options: TrainOptions | TrainPolicyOptions, stem: str) -> Path:
    """The file to write, of the suffix by which a controller's kind is known."""
    suffix = ".nir" if options.controller in (SPIKING, RESERVOIR) else ".safetensors"
    if options.out is not None and options.out.suffix.lower() != suffix:
        raise TaskError(f"--out {options.out}: the file of a controller '{options.controller}' ends in {suffix}")
    return options.out or Path(stem + suffix)


def expert_command(options: TrainExpertOptions) -> int:
    """Train the expert of a Gymnasium task.

    Raises:
        LiquidSpikeError: something is missing, unknown or out of range.
    """
    with _training_installed():
        from .gym_expert import EXPERTS
        from .learning import OutputFiles, learn_expert
    if options.task not in EXPERTS:
        raise TaskError(f"no expert of '{options.task}' is trained; known tasks: {', '.join(EXPERTS)}")
    config = replace(EXPERTS[options.task], seed=options.seed)
    if options.updates is not None:
        config = replace(config, n_updates=options.updates)
    out = options.out or Path(f"{options.task}_expert.safetensors".replace("-", "_"))
    learn_expert(options.task, config, OutputFiles(out, options.logs, _command_line("expert", options)), Console())
    return 0


def _under_faults(config: DaggerTraining, factor: float | None) -> DaggerTraining:
    """A recipe with ``factor`` times its faults of sensing and timing."""
    if factor is None:
        return config
    noise, drop, jitter = factor * config.noise, factor * config.drop, factor * config.jitter
    return replace(config, noise=noise, drop=drop, jitter=jitter, latency_steps=round(factor * config.latency_steps))


@contextmanager
def _training_installed() -> Iterator[None]:
    """Around the imports that need torch."""
    try:
        yield
    except ImportError as error:
        raise LiquidSpikeError(
            f"training needs {error.name}; install it: pip install 'liquid_spike_control[train]'"
        ) from None


def _command_line(what: str, options: LearningOptions) -> str:
    """The command line that repeats the training: what was said, but not where its files went."""
    said = []
    for field in fields(options):
        value = getattr(options, field.name)
        if field.name in ("task", "out", "logs", "device") or value == field.default:
            continue
        name = f"--{field.name.replace('_', '-')}"
        if field.name == "teacher" and ":" not in value:
            value = Path(value)
        shown = value.name if isinstance(value, Path) else " ".join(value) if isinstance(value, tuple) else value
        said.append(name if value is True else f"{name} {shown}")
    return " ".join([f"liquid-spike train {what} {options.task}", *said])


def _command(what: str, options: TrainOptions) -> str:
    """The command line that repeats the training."""
    said = [
        f"--{field.name} {getattr(options, field.name)}"
        for field in fields(options)
        if field.name in ("seed", "updates", "rounds", "controller") and getattr(options, field.name) != field.default
    ]
    if options.hide_elapsed:
        said.append("--hide-elapsed")
    if options.perception:
        said.append(f"--perception {options.perception.name}")
    if options.data:
        said.append(f"--data {' '.join(path.name for path in options.data)} --target {' '.join(options.target)}")
    return " ".join([f"liquid-spike train {what} {options.task}", *said])
