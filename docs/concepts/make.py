# SPDX-License-Identifier: Apache-2.0
"""The pictures of ``docs/concepts.md``, from the package's own code: ``python docs/concepts/make.py``."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import liquid_spike_control as lsc
from liquid_spike_control.control.gate import initial_state
from liquid_spike_control.neuromorphic.emulator.loihi import Dense, LoihiNetwork, Population
from liquid_spike_control.outputs import save_figure

FOLDER = Path(__file__).parent
BLUE, ORANGE, GREY = "#1f5fa8", "#c8500a", "#777777"
MS = 1_000_000  # [ns]


def panels(n: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with panels one above the other over one axis of time."""
    figure = Figure(figsize=(8, height), layout="constrained")
    axes = figure.subplots(n, 1, sharex=True, squeeze=False)[:, 0]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, list(axes)


def events() -> None:
    """One pixel: log intensity, the level at the last event, and the events."""
    model = lsc.EventCameraModel(
        1, 1, contrast_threshold=0.2, threshold_mismatch=0.0, refractory_ns=0, shot_noise_hz=0.0, leak_hz=0.0
    )
    camera = lsc.EventCamera(model)
    times = np.arange(0, 401)  # [ms]
    intensity = 100 * np.exp(0.55 * np.sin(times / 60) + 0.25 * np.sin(times / 17))
    camera.reset(np.full((1, 1), intensity[0], np.float32), 0, 0)
    pictures = intensity[:, None, None].astype(np.float32)
    fired = np.concatenate([camera.step(pictures[t], t * MS) for t in times[1:].tolist()])
    at, sign = fired["t"] / MS, np.where(fired["p"], 1, -1)
    level = np.log(intensity[0]) + 0.2 * np.concatenate([[0], np.cumsum(sign)])
    figure, (axis,) = panels(1, 2.8)
    axis.plot(times, np.log(intensity), color=GREY, label="log intensity L")
    axis.step(np.concatenate([[0], at]), level, where="post", color=BLUE, lw=1, label="level M at the last event")
    for which, colour, marker, name in ((1, BLUE, "^", "ON event"), (-1, ORANGE, "v", "OFF event")):
        axis.plot(at[sign == which], np.full((sign == which).sum(), 3.7), marker, color=colour, ms=5, label=name)
    axis.set_xlabel("time [ms]")
    axis.set_ylabel("L")
    axis.legend(ncols=4, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 1.2), frameon=False)
    save_figure(figure, FOLDER / "events.png")


def neuron() -> None:
    """A CUBA-LIF neuron on Loihi's integers, beside the equation in floats."""
    du, dv, vth, weight, n = 400, 200, 500, 60, 120
    spikes = np.zeros((n, 1), bool)
    spikes[[5, 20, 24, 28, 60, 62, 64, 66, 68, 95]] = True
    network = LoihiNetwork(1, {"n": Population(1, du=du, dv=dv, vth=vth)}, [Dense("input", "n", [[weight]])])
    probe = lsc.emulate(network).probe(lsc.SpikeTrain.from_dense(spikes))["n"]  # type: ignore[attr-defined]
    current, voltage, fired = probe.u[:, 0] / 64, probe.v[:, 0] / 64, probe.spikes[:, 0]
    figure, (above, below) = panels(2, 3.8)
    above.plot(current, color=BLUE, drawstyle="steps-mid")
    above.vlines(np.flatnonzero(spikes), -12, -2, color=GREY)
    above.set_ylabel("current u\n(grey: input)")
    below.plot(voltage, color=BLUE, drawstyle="steps-mid", label="voltage v")
    below.axhline(vth, color=GREY, ls="--", lw=1, label="threshold")
    below.plot(np.flatnonzero(fired), np.full(fired.sum(), vth * 1.1), "|", color=ORANGE, ms=10, mew=2, label="spike")
    below.set_ylabel("voltage v")
    below.set_xlabel("step")
    above.legend(*below.get_legend_handles_labels(), ncols=3, fontsize=8, frameon=False, loc="upper left")
    save_figure(figure, FOLDER / "neuron.png")


def liquid() -> None:
    """One LTC neuron (the equation in :mod:`liquid_spike_control.liquid.kernels`) under inputs of three strengths."""
    capacity, leak, rest, reversal, step = 1.0, 2.0, 0.0, 1.0, 0.005
    times = np.arange(0, 1.5, step)
    figure, (above, below) = panels(2, 3.8)
    for conductance, colour in ((2.0, GREY), (8.0, BLUE), (32.0, ORANGE)):
        g = np.where((times > 0.2) & (times < 0.8), conductance, 0.0)
        h, states = 0.0, []
        for now in g:
            h = (capacity / step * h + leak * rest + now * reversal) / (capacity / step + leak + now)
            states.append(h)
        above.plot(times, 1e3 * capacity / (leak + g), color=colour, lw=1.2)
        below.plot(times, states, color=colour, lw=1.5, label=f"synaptic conductance g = {conductance:g}")
    above.set_ylabel("time constant\n[ms]")
    below.set_ylabel("state h")
    below.set_xlabel("time [s]")
    below.legend(fontsize=8, frameon=False, loc="upper right")
    save_figure(figure, FOLDER / "liquid.png")


def gate() -> None:
    """Commands before and behind the gate: range, rate, a silent source, and its return."""
    limits = lsc.GateLimits(("force",), np.array([-5.0]), np.array([5.0]), np.array([60.0]), 100 * MS, np.array([0.0]))
    state, times, asked, out = initial_state(limits), np.arange(0, 1000, 10), [], []
    for t in times.tolist():
        wanted = 8 * np.sin(t / 110)
        if t == 420:
            wanted = np.nan
        if 600 <= t < 800:
            asked.append(np.nan)
            state, output, _ = lsc.watchdog(limits, state, t * MS)
        else:
            asked.append(wanted)
            state, output, _ = lsc.admit(limits, state, [wanted], t * MS, t * MS)
        out.append(output[0])
    figure, (axis,) = panels(1, 3.0)
    axis.plot(times, asked, ".", color=GREY, ms=4, label="command")
    axis.step(times, out, where="post", color=BLUE, label="behind the gate")
    axis.axvline(420, color=ORANGE, lw=1, ls=":")
    axis.annotate("not a number", (425, 6), fontsize=8)
    axis.axvspan(600, 800, color=ORANGE, alpha=0.12, lw=0)
    axis.annotate("no commands", (700, -7.5), fontsize=8, ha="center")
    axis.set_ylabel("force [N]")
    axis.set_xlabel("time [ms]")
    axis.legend(fontsize=8, frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, 1.15))
    save_figure(figure, FOLDER / "gate.png")


if __name__ == "__main__":
    events()
    neuron()
    liquid()
    gate()
