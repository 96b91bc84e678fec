# SPDX-License-Identifier: Apache-2.0
"""The front end's events a second at 1280x720, step by step, beside what comes before and after it in the same run.

Two streams: edges that pass (the texture of event_camera.py, whose neighbours fire together), and events at random
over the whole sensor, which no cache holds. One thread; packets of 5 ms; the best of several rounds, in
processor time, so that other programs count little. Before it evt3 is
decoded, behind it the events are binned to the axons of a 64x64 network: the last column is what the three take
together.

Run: ``python test/benchmarks/front_end.py``
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from liquid_spike_control.events.binning import SpikeBinner
from liquid_spike_control.events.camera import EventCamera, EventCameraModel
from liquid_spike_control.events.codec import Decoder, encode
from liquid_spike_control.events.filters import FrontEnd
from liquid_spike_control.events.front_end import Crop, FrontEndSettings, Sensor
from liquid_spike_control.types import EVENT

WIDTH, HEIGHT, PACKET_NS, MS = 1280, 720, 5_000_000, 1_000_000
N_EVENTS, ROUNDS = 2_000_000, 5
CROP = {"crop": Crop(left=288, top=8, width=704, height=704), "group": (11, 11)}
MASK = {"hot_pixels": tuple((x, x % HEIGHT) for x in range(0, WIDTH, 4))}
STEPS = {
    "crop and groups": CROP,
    "and hot pixels": CROP | MASK,
    "and refractory": CROP | MASK | {"refractory_s": 0.0005},
    "and background": CROP | MASK | {"refractory_s": 0.0005, "background_s": 0.005},
    "and decimation": CROP | MASK | {"refractory_s": 0.0005, "background_s": 0.005, "decimate": 8},
    "background alone": CROP | {"background_s": 0.005},
}


def of_a_texture() -> list[np.ndarray]:
    """Packets of a moving texture, with noise."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    camera = EventCamera(EventCameraModel(WIDTH, HEIGHT, shot_noise_hz=5.0))
    packets, n, k = [], 0, 0
    while n < N_EVENTS:
        frame = 128 + 100 * np.sin(0.1 * (x - 0.5 * k)) * np.cos(0.07 * y)
        if k == 0:
            camera.reset(frame, 0, 1)
        else:
            packets.append(camera.step(frame, k * PACKET_NS))
            n += len(packets[-1])
        k += 1
    return packets


def at_random() -> list[np.ndarray]:
    """Packets of 20 million events a second, anywhere."""
    rng, packets = np.random.default_rng(1), []
    for k in range(N_EVENTS // 100_000):
        events = np.zeros(100_000, EVENT)
        events["t"] = k * PACKET_NS + np.sort(rng.integers(1, PACKET_NS // 1000, len(events))) * 1000
        events["x"], events["y"] = rng.integers(0, WIDTH, len(events)), rng.integers(0, HEIGHT, len(events))
        events["p"] = rng.integers(0, 2, len(events))
        packets.append(events)
    return packets


def best_s(work: Callable[[], None], reset: Callable[[], None] = lambda: None) -> float:
    """Processor time of the quickest of several rounds [s]."""
    took = []
    for _ in range(ROUNDS):
        reset()
        began = time.thread_time()
        work()
        took.append(time.thread_time() - began)
    return min(took)


def measure(name: str, packets: list[np.ndarray]) -> None:
    """Print a stream's table."""
    n = sum(map(len, packets))
    print(f"{name}: {n} events of {WIDTH}x{HEIGHT} in {len(packets)} packets")
    data = [encode(events, "evt3", k * PACKET_NS) for k, events in enumerate(packets)]
    decoder = Decoder()

    def decode() -> None:
        decoder.reset()
        for k, packet in enumerate(data):
            decoder.decode(packet, "evt3", k * PACKET_NS, WIDTH, HEIGHT)

    decode()
    decoding_s = best_s(decode)
    print(f"  evt3 to events {n / decoding_s / 1e6:.0f} Mev/s")
    print(f"  {'front end':18}{'Mev/s':>8}{'ns/event':>10}{'passed':>9}{'with decoding and binning, Mev/s':>36}")
    for step, settings in STEPS.items():
        front_end = FrontEnd([Sensor(WIDTH, HEIGHT, FrontEndSettings(**settings))])

        def filtered(front_end: FrontEnd = front_end) -> None:
            for events in packets:
                front_end.apply(events)

        filtered()
        front_end.counts.fill(0)
        took_s = best_s(filtered, front_end.reset)
        passed = front_end.counts[0] / front_end.counts.sum()
        front_end.reset()
        binner, kept = SpikeBinner(64, 64, 4, MS), [front_end.apply(events).copy() for events in packets]

        def binned(binner: SpikeBinner = binner, kept: list[np.ndarray] = kept) -> None:
            for k, events in enumerate(kept):
                binner.bin(events, k * PACKET_NS, PACKET_NS // MS)

        together = n / (took_s + decoding_s + best_s(binned)) / 1e6
        print(f"  {step:18}{n / took_s / 1e6:8.0f}{took_s / n * 1e9:10.1f}{100 * passed:8.1f}%{together:36.0f}")


if __name__ == "__main__":
    measure("a moving texture", of_a_texture())
    measure("at random", at_random())
