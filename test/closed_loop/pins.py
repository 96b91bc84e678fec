# SPDX-License-Identifier: Apache-2.0
"""Fingerprints of what decides the benchmark's figures: a few numbers of each task, recipe, network and law.

``python test/closed_loop/pins.py`` writes ``pins.json`` anew after a version was raised. It refuses to replace a
fingerprint whose version is still the same.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from liquid_spike_control.bench.closed_loop.candidates import CANDIDATES, candidate
from liquid_spike_control.bench.closed_loop.procedure import PUBLISHED_TASKS as PUBLISHED_TASKS
from liquid_spike_control.bench.closed_loop.procedure import procedure_named
from liquid_spike_control.bench.closed_loop.versions import VERSIONS
from liquid_spike_control.robots.catalogue import TASKS, task_named
from liquid_spike_control.tasks.episode import run_episode
from liquid_spike_control.tasks.perturbations import Perturbation, perturbation_named
from liquid_spike_control.tasks.perturbed import PerturbedTask
from liquid_spike_control.tasks.variation import Variation

FILE = Path(__file__).with_name("pins.json")
SEED = 1000
#: Relative and absolute differences that rounding may make: of a few steps of physics or a network, and of training.
STEPS, TRAINED = (1e-6, 1e-9), (1e-3, 1e-5)
Numbers = dict[str, Any]


def commands(limits: np.ndarray, n: int) -> np.ndarray:
    """A fixed sequence ``(n, m)`` within the limits."""
    return 0.7 * limits * np.sin(0.9 * np.arange(n)[:, None] + 1.3 * np.arange(len(limits)))


def of_task(name: str) -> Numbers:
    """Observations and rewards of an episode's beginning, on the nominal plant and on another, and the expert."""
    task = task_named(name)
    found: Numbers = {
        "numbers": [task.period_s, task.duration_s, *task.observation_scales, *task.command_limits],
        "data": [len(task.data_files)],
    }
    for plant, variation in (("nominal", Variation()), ("varied", Variation(mass=1.2, friction=1.5, actuator=0.85))):
        task.reset(SEED, variation)
        seen, rewards = [task.observe()], []
        for command in commands(task.command_limits, 12):
            task.advance(command, task.period_s)
            seen.append(task.observe())
            rewards.append(task.reward)
        found[plant] = [*seen[0], *seen[1], *seen[-1], *rewards]
    task.reset(SEED)
    expert, given = task.expert(), []
    expert.reset()
    for _ in range(8):
        given.append(expert.act(task))
        task.advance(given[-1], task.period_s)
    return found | {"expert": np.concatenate(given).tolist()}


def of_pencil_hard() -> Numbers:
    """Numbers that an episode draws; an episode of the expert, and one of the law behind the perception."""
    from liquid_spike_control.robots.pencil_hard.task import PencilHardEpisodes

    drawn = PencilHardEpisodes().draw(SEED)
    single = [v for v in asdict(drawn).values() if isinstance(v, int | float)]
    found: Numbers = {"drawn": [*single, *drawn.blackouts_ms[:3].ravel(), *drawn.periods_ms[:20]]}
    procedure = procedure_named("pencil-hard")
    for name in ("expert", "model_based"):
        task, controller = procedure.driver(candidate(name), None)
        result = run_episode(task, controller, perturbation_named("clean"), SEED + 1)
        found[name] = [result.elapsed_s, result.n_steps]
    return found | {"imitation": _behind_a_perception()}


def _behind_a_perception() -> list[float]:
    """Weights after a small round of the general trainer by the task's own recipe."""
    from liquid_spike_control.liquid.architecture import named
    from liquid_spike_control.liquid.policies import new_policy
    from liquid_spike_control.robots.catalogue import sensed_task_named
    from liquid_spike_control.training.dagger import DaggerTrainer, training_of

    task = sensed_task_named("pencil-hard?truth")
    policy = new_policy(named("gru", units=6), task.observation_scales, task.command_limits, task.period_s, 1)
    small = training_of("pencil-hard", 1, n_episodes=2, n_samples=60, passes=2, batch=4)
    trainer = DaggerTrainer("pencil-hard", policy, small)
    for _ in range(2):
        trainer.round()
    return summary(policy)


def of_episodes() -> Numbers:
    """What a controller meets under every kind of fault."""
    faults = Perturbation("pins", noise=0.02, drop=0.3, jitter=0.4, latency_steps=2, mass=1.1)
    loop = PerturbedTask(task_named("swing-up"), faults, SEED)
    met: list[float] = []
    for command in commands(loop.task.command_limits, 25):
        met += [float(loop.received), loop.elapsed_s, *loop.observation]
        if loop.received:
            loop.decide(command)
        loop.advance()
    return {"faults": met}


def summary(module: Any) -> list[float]:
    """Of weights: norm, sum and first number of each tensor."""
    found = []
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            found += [float(tensor.norm()), float(tensor.sum()), float(tensor.flatten()[0])]
    return found


def of_dagger() -> Numbers:
    """Defaults of the recipe, and weights and averages after a small round, of a dense and of a spiking policy."""
    from liquid_spike_control.liquid.architecture import named
    from liquid_spike_control.liquid.policies import new_policy
    from liquid_spike_control.training.dagger import DaggerTrainer, DaggerTraining

    task = task_named("swing-up")
    policy = new_policy(named("gru", units=6), task.observation_scales, task.command_limits, task.period_s, 1)
    small = DaggerTraining(n_rounds=2, n_episodes=2, n_validations=2, passes=1, batch=4)
    trainer, figures = DaggerTrainer("swing-up", policy, small), []
    for _ in range(2):
        figures += [v for _, v in sorted(trainer.round().items())]
    return {"defaults": asdict(DaggerTraining()), "figures": figures, "weights": summary(policy)}


def _answers(policy: Any, controllers: list[Any], scales: np.ndarray, period_s: float) -> Numbers:
    """Commands of a policy in torch and compiled, and its gradient, on a fixed sequence."""
    seen = scales * np.sin(0.4 * np.arange(8)[:, None] + np.arange(len(scales)))
    elapsed = period_s * (1 + 0.3 * np.cos(np.arange(8.0)))
    inputs = torch.tensor(seen, dtype=torch.float32)[None], torch.tensor(elapsed, dtype=torch.float32)[None]
    given, _ = policy(*inputs)
    given.square().sum().backward()
    gradient = math.sqrt(sum(float(p.grad.square().sum()) for p in policy.parameters() if p.grad is not None))
    found: Numbers = {"torch": given.detach().flatten().tolist(), "gradient": [gradient]}
    for k, controller in enumerate(controllers):
        controller.reset()
        steps = [controller.step(o, dt) for o, dt in zip(seen, elapsed, strict=True)]
        found[f"compiled {k}"] = np.concatenate(steps).tolist()
    return found


def _file_of(policy: Any, task: Any) -> Any:
    return policy.to_file(
        observation_names=task.observation_names, observation_units=task.observation_units,
        command_names=task.command_names, command_units=task.command_units, task=task.name, training_command="pins",
        training_seeds=(1, 2),
    )  # fmt: skip


def of_networks(spiking: bool = False) -> Numbers:
    """Sizes of every architecture on every task, first weights, gradients and commands on one."""
    from liquid_spike_control.control.spiking import SpikingController
    from liquid_spike_control.liquid.architecture import n_parameters
    from liquid_spike_control.liquid.controller import new_controller
    from liquid_spike_control.liquid.policies import new_policy
    from liquid_spike_control.spiking.policy import SpikingPolicy

    found: Numbers = {}
    for who in CANDIDATES.values():
        new = f"{who.learner} {dict(who.changes)}" not in found
        if who.readout_only or not new or who.kind != ("spiking" if spiking else "network"):
            continue
        procedures = [procedure_named(name) for name in TASKS]
        made = [c._architecture(who) for c in procedures]
        sizes = [m.n_parameters(*c._size) if spiking else n_parameters(m, *c._size)
                 for m, c in zip(made, procedures, strict=True)]  # fmt: skip
        task = task_named("swing-up-full")
        numbers = task.observation_scales.tolist(), task.command_limits.tolist(), task.period_s, 1
        architecture = made[[c.name for c in procedures].index(task.name)]
        policy = (SpikingPolicy if spiking else new_policy)(architecture, *numbers)
        file = _file_of(policy, task)
        runs = [SpikingController(file, b) for b in ("float", "loihi")] if spiking else [new_controller(file)]
        first = summary(policy)
        found[f"{who.learner} {dict(who.changes)}"] = {
            "sizes": sizes, "first": first, **_answers(policy, runs, task.observation_scales, task.period_s)
        }  # fmt: skip
    return found


def of_readouts() -> Numbers:
    """First weights of each random network, and its readout after a small training."""
    from liquid_spike_control.training.dagger import DaggerTraining, train
    from liquid_spike_control.training.random_networks import KINDS, RandomNetwork
    from liquid_spike_control.training.readout import ReadoutTrainer

    task, found = task_named("swing-up"), {}
    numbers = task.observation_scales.tolist(), task.command_limits.tolist(), task.period_s, 1
    small = DaggerTraining(n_rounds=2, n_episodes=5, n_samples=50, n_validations=2)
    for kind in KINDS:
        policy = RandomNetwork(kind).new_policy(*numbers)
        found[f"{kind} first"] = summary(policy)
        policy = RandomNetwork(kind, 40).new_policy(*numbers)
        train("swing-up", policy, small, trainer_class=ReadoutTrainer)
        found[f"{kind} trained"] = summary(policy)
    return found


def of_adaptation() -> Numbers:
    """Rule, and commands of a network that adapts, on a fixed sequence of each task that it may adapt on."""
    from liquid_spike_control.control.output_adaptation import RULE, OutputAdaptation
    from liquid_spike_control.liquid.architecture import named
    from liquid_spike_control.liquid.controller import new_controller
    from liquid_spike_control.liquid.policies import new_policy

    found: Numbers = {"rule": list(asdict(RULE).values())}
    for name in ("swing-up", "hover"):
        task = task_named(name)
        numbers = task.observation_scales.tolist(), task.command_limits.tolist(), task.period_s, 1
        network = new_controller(_file_of(new_policy(named("gru", units=6), *numbers), task))
        adapting = OutputAdaptation(network, task.steering)
        wave = np.sin(0.4 * np.arange(40)[:, None] + np.arange(len(task.observation_scales)))
        seen = 0.3 * task.observation_scales * wave
        if name == "swing-up":
            seen[:, 1], seen[:, 2] = np.sin(0.3 * wave[:, 0]), np.cos(0.3 * wave[:, 0])
        found[name] = np.concatenate([adapting.step(o, task.period_s) for o in seen])[-8:].tolist()
    return found


def of_laws() -> Numbers:
    """Commands of the model-based controllers on a fixed sequence of what they see."""
    from liquid_spike_control.bench.closed_loop.model_based import ModelBasedController, has_law
    from liquid_spike_control.robots.pencil_hard.expert import EstimateLatePencilLqr

    found: Numbers = {}
    for name in filter(has_law, TASKS):
        task, law = task_named(name), ModelBasedController(name)
        wave = np.sin(0.4 * np.arange(8)[:, None] + np.arange(len(task.observation_scales)))
        found[name] = np.concatenate(
            [law.step(o, task.period_s) for o in 0.3 * task.observation_scales * wave]
        ).tolist()
    law = EstimateLatePencilLqr(task_named("pencil-hard"))
    found["pencil-hard"] = [
        float(law.step(0.02 * np.sin(np.arange(4) + k), 0.008 + 0.002 * (k % 3))[0]) for k in range(8)
    ]
    return found


def of_sequences() -> Numbers:
    """The beginning of the XOR sequences. Those of Walker2d take minutes to make and are not pinned."""
    from liquid_spike_control.bench.sequence.experiments import EXPERIMENTS

    return {
        part: [*s.inputs[:2, :6].ravel(), *s.elapsed[:2, :6].ravel(), *s.lengths[:4], float(s.targets.sum())]
        for part, s in zip(("training", "test"), EXPERIMENTS["xor"].make(6, 3), strict=True)
    }


def of_sequence_fits() -> Numbers:
    """Recipes, and one small fit of each model."""
    from liquid_spike_control.bench.sequence.experiments import EXPERIMENTS, MODELS
    from liquid_spike_control.bench.sequence.fitting import Fit
    from liquid_spike_control.bench.sequence.models import SequenceModel

    experiment = EXPERIMENTS["xor"]
    training, test = experiment.make(32, 16)
    found: Numbers = {}
    for name in MODELS:
        recipe = experiment.recipe(name)
        config = replace(recipe.fitting, epochs=2, batch=16)
        sizes = training.inputs.shape[-1], training.targets.shape[-1]
        fit = Fit(SequenceModel(recipe.network, *sizes, experiment.time_unit, 1), training, test, config, 1)
        fit.epoch()
        found[name] = [fit.epochs[0].loss, fit.epochs[0].test]
        found[f"{name} recipe"] = {e: json.loads(json.dumps(asdict(x.recipe(name)))) for e, x in EXPERIMENTS.items()}
    return found


#: By component: its version, its fingerprint, and how near another one must be.
COMPONENTS: dict[str, tuple[Callable[[], int], Callable[[], Numbers], tuple[float, float]]] = {
    **{f"task {name}": (lambda name=name: task_named(name).version, lambda name=name: of_task(name), STEPS)
       for name in TASKS},
    "task pencil-hard": (lambda: procedure_named("pencil-hard").identity["version"], of_pencil_hard, TRAINED),
    "episodes": (lambda: VERSIONS["episodes"], of_episodes, STEPS),
    "dagger": (lambda: VERSIONS["dagger"], of_dagger, TRAINED),
    "networks": (lambda: VERSIONS["networks"], of_networks, TRAINED),
    "spiking networks": (lambda: VERSIONS["spiking networks"], lambda: of_networks(spiking=True), TRAINED),
    "readouts": (lambda: VERSIONS["readouts"], of_readouts, TRAINED),
    "adaptation": (lambda: VERSIONS["adaptation"], of_adaptation, STEPS),
    "laws": (lambda: VERSIONS["laws"], of_laws, STEPS),
    "sequences": (lambda: VERSIONS["sequences"], of_sequences, STEPS),
    "sequence fits": (lambda: VERSIONS["sequence fits"], of_sequence_fits, TRAINED),
}  # fmt: skip


def differences(pinned: Any, found: Any, tolerance: tuple[float, float], where: str = "") -> list[str]:
    """What of a fingerprint has changed; numbers that are found beside the pinned ones do not count."""
    if isinstance(pinned, dict):
        return [d for k, v in pinned.items() for d in differences(v, (found or {}).get(k), tolerance, f"{where}/{k}")]
    if isinstance(pinned, list) and isinstance(found, list) and all(isinstance(x, int | float) for x in pinned):
        was, now = np.array(pinned, float), np.array(found, float)
        if was.shape != now.shape:
            return [f"{where}: {len(was)} numbers pinned, {len(now)} found"]
        far = ~np.isclose(now, was, *tolerance)
        k = int(np.argmax(far)) if far.any() else 0
        return [f"{where}[{k}]: {was[k]:.9g} pinned, {now[k]:.9g} found"] if far.any() else []
    return [] if pinned == found else [f"{where}: {pinned} pinned, {found} found"]


def fingerprint(name: str) -> Numbers:
    """Of a component, on one thread as in the benchmark."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return plain(COMPONENTS[name][1]())
    finally:
        torch.set_num_threads(threads)


def plain(value: Any) -> Any:
    """As JSON has it, numbers with 10 digits."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(f"{float(value):.10g}")
    return int(value) if isinstance(value, np.integer) else value


def write() -> None:
    """Replace the fingerprints of what has a new version.

    Raises:
        SystemExit: something has changed under its old version.
    """
    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    made = {}
    for name, (version, _, tolerance) in COMPONENTS.items():
        old, found = known.get(name), fingerprint(name)
        made[name] = {"version": version(), "fingerprint": found}
        if old and old["version"] == version():
            if changed := differences(old["fingerprint"], found, tolerance):
                sys.exit(
                    f"{name}: changed under version {version()}: {changed[0]}; raise its version or undo the change"
                )
            # Rounding is no change; what is found beside the pinned numbers joins them
            made[name] = {"version": version(), "fingerprint": found | old["fingerprint"]}
    rows = [f"  {json.dumps(name)}: {json.dumps(pin)}" for name, pin in made.items()]
    FILE.write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    write()
