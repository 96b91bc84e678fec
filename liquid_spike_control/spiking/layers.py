# SPDX-License-Identifier: Apache-2.0
"""The description of a feedforward network of CUBA-LIF layers, convolutional and dense, as a short yaml file.

::

    step_s: 0.004
    layers:
      - {kernel: 5, stride: 4, channels: 40, delays_s: [0, 0.032, 0.064, 0.096, 0.128], start: gabor}
      - {kernel: 3, stride: 2, channels: 40}
      - {neurons: 64}
    readout_taus_s: [0.02, 0.08]

A layer with ``kernel`` is a convolution with a padding of half the kernel; with ``neurons`` it is dense. Neurons are
numbered ``(row * width + column) * channels + channel``, as in :mod:`.graph`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from ..errors import ModelError
from ..inputs import read_yaml

#: Longest axonal delay [steps]: Loihi's 62, less the step that every connection takes.
LONGEST_DELAY = 61


class Layer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One layer.

    Attributes:
        kernel, stride, channels: of a convolution.
        neurons: of a dense layer instead.
        delays_s: axonal delays; every one has synapses of its own [s].
        synaptic_s, membrane_s: shortest and longest time constant to begin with, one a channel or neuron [s].
        rise: what a spike adds to the neuron's threshold of 1 to begin with; it is trained. 0: no neuron adapts, and
            the layer runs on Loihi 1; others need Loihi 2's programmable neuron.
        adaptation_s: shortest and longest time constant of that to begin with [s].
        start: ``random``, or ``gabor``: gratings that move, for a convolution of events.
    """

    kernel: int | None = None
    stride: int = 1
    channels: int = 0
    neurons: int | None = None
    delays_s: tuple[float, ...] = (0.0,)
    synaptic_s: tuple[float, float] = (0.004, 0.016)
    membrane_s: tuple[float, float] = (0.008, 0.04)
    rise: float = 0.0
    adaptation_s: tuple[float, float] = (0.05, 0.5)
    start: str = "random"


class LayeredNetwork(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A network: layers from the events on, and leaky readouts of the last one.

    Attributes:
        step_s: length of a step [s].
        layers: from the input on.
        row_group: rows that share an axon.
        readout_taus_s: time constants of the leaky sums of spikes [s].
        operations_per_s: synaptic operations a second that the training holds it to; none by default.
        cores: neurocores of Loihi that it is to fit on; any number by default. Needs ``training.prune``.
        training: how it is trained.
    """

    layers: tuple[Layer, ...]
    step_s: float = 0.001
    row_group: int = 1
    readout_taus_s: tuple[float, ...] = (0.02, 0.08)
    operations_per_s: float | None = None
    cores: int | None = None
    training: Training = msgspec.field(default_factory=lambda: Training())


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Parameters of a network's training.

    Attributes:
        episodes, seconds: how many are recorded, and how long each is at most [s].
        on_policy: the part of them that is recorded after half of the updates, as the robot's controller drives on the
            network's own estimates: it then sees where its errors lead.
        driver: the variant of the robot whose controller that is; by default the description's controller.
        exploration, setpoints, settings: see :class:`~..training.recorded_episodes.Recording`.
        updates: of the weights.
        streams: episodes that run side by side.
        chunk_s: length of the truncated backpropagation [s].
        learning_rate: at the start; it falls to a twentieth along a cosine.
        floor, fraction: an error counts as 1 at ``floor`` of the estimate's scale and ``fraction`` of the truth.
        ridge: of the readout's regression, as a part of the features' mean square.
        mirror_columns, mirror_rows: factor on each named estimate when the picture is mirrored; a mirror that is given
            doubles what is learnt from.
        swap_polarity: events may change their sign.
        prune: parts of the updates at which pruning to ``operations_per_s`` and ``cores`` begins and ends, such as
            ``[0.4, 0.8]``; see :mod:`~..training.layer_pruning`. Without it the work is held down by a penalty alone.
    """

    episodes: int = 96
    seconds: float = 8.0
    on_policy: float = 0.0
    driver: str = ""
    exploration: float = 0.2
    setpoints: float = 1.0
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    updates: int = 1500
    streams: int = 12
    chunk_s: float = 0.2
    learning_rate: float = 2e-3
    floor: float = 0.1
    fraction: float = 0.1
    ridge: float = 1e-3
    mirror_columns: dict[str, float] | None = None
    mirror_rows: dict[str, float] | None = None
    swap_polarity: bool = False
    prune: tuple[float, float] | None = None


def shapes(network: LayeredNetwork, width: int, height: int) -> list[tuple[int, int, int]]:
    """Shape ``(channels, rows, columns)`` of the input and of each layer.

    Args:
        network: whose.
        width, height: of the picture [pixels].
    """
    found = [(2, height // network.row_group, width)]
    for layer in network.layers:
        if layer.kernel is None:
            found.append((layer.neurons or 0, 1, 1))
            continue
        pad = layer.kernel // 2
        rows, columns = ((n + 2 * pad - layer.kernel) // layer.stride + 1 for n in found[-1][1:])
        found.append((layer.channels, rows, columns))
    return found


def default_network(period_s: float) -> LayeredNetwork:
    """A small network for any camera: steps of about 2 ms, a convolution that sees delays, another, a dense layer.

    Args:
        period_s: control period of the robot, which is to be whole steps [s].
    """
    step_s = period_s / max(1, round(period_s / 0.002))
    return LayeredNetwork(
        step_s=step_s,
        layers=(
            Layer(kernel=5, stride=2, channels=16, delays_s=(0.0, 8 * step_s, 16 * step_s)),
            Layer(kernel=3, stride=2, channels=16),
            Layer(neurons=128),
        ),
    )


def read_layers(path: str | Path) -> LayeredNetwork:
    """The network of a yaml file.

    Raises:
        ModelError: there is no such file, or a field is wrong; names the file, the field and the remedy.
    """
    try:
        network = msgspec.convert(read_yaml(path), LayeredNetwork)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; give a yaml file with layers") from None
    except ValueError as error:
        raise ModelError(f"{path}: {' '.join(str(error).split())[:200]}; correct it") from None
    check_layers(network, str(path))
    return network


def as_told(network: LayeredNetwork) -> dict[str, Any]:
    """A description as builtins, for metadata: without those parts of its training that it does without, so that models
    are the same bytes as before there were such.
    """
    values = msgspec.to_builtins(network)
    for field in ("on_policy", "driver", "settings", "prune"):
        if not values["training"][field]:
            del values["training"][field]
    if network.cores is None:
        del values["cores"]
    return values


def check_layers(network: LayeredNetwork, source: str) -> None:
    """Refuse a network that cannot be.

    Raises:
        ModelError: the first field that is wrong.
    """

    def refuse(field: str, found: object, remedy: str) -> NoReturn:
        raise ModelError(f"{source}: {field}: {found}; {remedy}")

    def positive(field: str, value: float) -> None:
        if not (math.isfinite(value) and value > 0):
            refuse(field, value, "give a finite number above 0")

    positive("step_s", network.step_s)
    if not network.layers:
        refuse("layers", "none", "give at least one")
    if not network.readout_taus_s:
        refuse("readout_taus_s", "none", "give at least one")
    for tau in network.readout_taus_s:
        positive("readout_taus_s", tau)
    if network.operations_per_s is not None:
        positive("operations_per_s", network.operations_per_s)
    if network.cores is not None and network.cores < 1:
        refuse("cores", network.cores, "give at least 1")
    prune = network.training.prune
    if prune is not None and not 0 < prune[0] < prune[1] < 1:
        refuse("training.prune", list(prune), "give two ascending parts of the updates between 0 and 1, as [0.4, 0.8]")
    if prune is not None and network.cores is None and network.operations_per_s is None:
        refuse("training.prune", list(prune), "give operations_per_s or cores, what it is pruned to, too")
    if network.cores is not None and prune is None:
        refuse("cores", network.cores, "give training.prune, when channels are left out, too, as [0.4, 0.8]")
    dense = False
    for i, layer in enumerate(network.layers):
        where = f"layers[{i}]"
        if (layer.kernel is None) == (layer.neurons is None):
            refuse(where, "kernel and neurons" if layer.neurons else "neither", "give a kernel or neurons")
        if layer.kernel is not None:
            if dense:
                refuse(f"{where}.kernel", layer.kernel, "put convolutions before dense layers")
            if layer.kernel < 1 or layer.kernel % 2 == 0 or layer.stride < 1 or layer.channels < 1:
                found = f"kernel {layer.kernel}, stride {layer.stride}, channels {layer.channels}"
                refuse(where, found, "give an odd kernel, and a stride and channels of at least 1")
        elif layer.neurons is not None and layer.neurons < 1:
            refuse(f"{where}.neurons", layer.neurons, "give at least 1")
        dense = layer.kernel is None
        if layer.start not in ("random", "gabor") or (layer.start == "gabor" and (i or dense)):
            refuse(f"{where}.start", layer.start, "give random, or for a convolution that comes first gabor")
        if not 0 <= layer.rise <= 100:
            refuse(f"{where}.rise", layer.rise, "give 0, or how far a spike raises the threshold of 1, at most 100")
        for field in ("synaptic_s", "membrane_s", "adaptation_s"):
            for tau in getattr(layer, field):
                positive(f"{where}.{field}", tau)
        for delay in layer.delays_s:
            steps = delay / network.step_s
            if not 0 <= steps <= LONGEST_DELAY + 1e-6 or abs(steps - round(steps)) > 1e-6:
                most = LONGEST_DELAY * network.step_s
                refuse(f"{where}.delays_s", delay, f"give whole steps of {network.step_s} s, at most {most:g} s")
        if not layer.delays_s or len(set(layer.delays_s)) != len(layer.delays_s):
            refuse(f"{where}.delays_s", list(layer.delays_s), "give at least one, each once")
    training = network.training
    for field in ("episodes", "updates", "streams"):
        if getattr(training, field) < 1:
            refuse(f"training.{field}", getattr(training, field), "give at least 1")
    for field in ("exploration", "setpoints", "fraction"):
        if not (math.isfinite(getattr(training, field)) and getattr(training, field) >= 0):
            refuse(f"training.{field}", getattr(training, field), "give a finite number of at least 0")
    if not 0 <= training.on_policy <= 0.9:
        refuse("training.on_policy", training.on_policy, "give a part of the episodes, 0 to 0.9")
    if training.driver and not training.on_policy:
        refuse("training.driver", training.driver, "give on_policy, the part of the episodes that it drives, too")
    for field in ("seconds", "chunk_s", "learning_rate", "floor", "ridge"):
        positive(f"training.{field}", getattr(training, field))
