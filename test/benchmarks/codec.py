# SPDX-License-Identifier: Apache-2.0
"""EVT 3.0 to and from events, ours against faery, in one run, taking turns, one thread each.

Both read and write the same file in memory (/dev/shm where there is one), and each decodes the file that
faery wrote and the one that we wrote; all must give the same events. We read packets of 400 kB, as they come
over a topic; faery cuts as it likes. Two streams of a 640 x 480 camera: the texture of event_camera.py, whose
neighbours fire together, and events at random.

Run: ``python test/benchmarks/codec.py`` (peer: ``pip install faery``)
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from liquid_spike_control.events.camera import EventCamera, EventCameraModel
from liquid_spike_control.events.codec import Decoder, encode, split
from liquid_spike_control.types import EVENT

WIDTH, HEIGHT = 640, 480
N_EVENTS, ROUNDS = 2_000_000, 7
HEADER = (
    f"% evt 3.0\n% format EVT3;height={HEIGHT};width={WIDTH}\n% geometry {WIDTH}x{HEIGHT}\n% end\n".encode()
)


def of_a_texture() -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    camera = EventCamera(EventCameraModel(WIDTH, HEIGHT, threshold_mismatch=0.02, leak_hz=0, shot_noise_hz=0))
    events, n, k = [], 0, 0
    while n < N_EVENTS:
        frame = 128 + 100 * np.sin(0.1 * (x - 0.5 * k)) * np.cos(0.07 * y)
        if k == 0:
            camera.reset(frame, 0, 1)
        else:
            events.append(camera.step(frame, k * 1_000_000))
            n += len(events[-1])
        k += 1
    return np.concatenate(events)[:N_EVENTS]


def at_random() -> np.ndarray:
    rng = np.random.default_rng(1)
    events = np.zeros(N_EVENTS, EVENT)
    events["t"] = np.sort(rng.integers(1, N_EVENTS * 100, N_EVENTS))  # 10 Mev/s
    events["x"], events["y"] = rng.integers(0, WIDTH, N_EVENTS), rng.integers(0, HEIGHT, N_EVENTS)
    events["p"] = rng.integers(0, 2, N_EVENTS)
    return events


def canonical(t_us, x, y, p) -> np.ndarray:
    """One number an event, sorted: how an encoder orders the events of a microsecond is its own affair."""
    return np.sort(((t_us.astype(np.int64) * HEIGHT + y) * 2 + p) * WIDTH + x)


def our_read(path: Path) -> list[np.ndarray]:
    packets, decoder = [], Decoder()
    with path.open("rb") as file:
        while file.peek(1)[:1] == b"%":
            file.readline()
        while data := file.read(400_000):
            packets.append(decoder.decode(data, "evt3", 0, WIDTH, HEIGHT))
    return packets


def our_write(path: Path, events: np.ndarray) -> None:
    with path.open("wb") as file:
        file.write(HEADER)
        for packet in split(events, "evt3"):
            file.write(encode(packet, "evt3", int(packet["t"][0])))


def faery_read(faery, path: Path) -> list[np.ndarray]:
    with faery.evt.Decoder(path, (WIDTH, HEIGHT), "evt3") as decoder:
        return [packet["events"] for packet in decoder]


def faery_write(faery, path: Path, events: np.ndarray) -> None:
    with faery.evt.Encoder(path, "evt3", False, (WIDTH, HEIGHT), True) as encoder:
        encoder.write({"events": events})


def best(actions) -> list[float]:
    """Shortest time [s] of each action, taken in turns."""
    times = [[] for _ in actions]
    for _ in range(ROUNDS):
        for action, record in zip(actions, times, strict=True):
            start = time.perf_counter()
            action()
            record.append(time.perf_counter() - start)
    return [min(record) for record in times]


def compare(name: str, ours, peer) -> None:
    mine, theirs = (N_EVENTS * 1e-6 / t for t in best([ours, peer]))
    print(f"{name:45} ours {mine:6.1f} Mev/s, faery {theirs:6.1f} Mev/s, ratio {mine / theirs:.2f}")


def run(faery, name: str, events: np.ndarray, folder: Path) -> None:
    events["t"] = -(-events["t"] // 1000) * 1000
    theirs = np.zeros(N_EVENTS, faery.EVENTS_DTYPE)
    for mine, field in zip("txyp", faery.EVENTS_DTYPE.names, strict=True):
        theirs[field] = events[mine]
    theirs["t"] //= 1000
    expected = canonical(events["t"] // 1000, events["x"].astype(int), events["y"], events["p"])

    ours, peers = folder / "ours.raw", folder / "faery.raw"
    our_write(ours, events)
    faery_write(faery, peers, theirs)
    for path in (ours, peers):
        a, b = np.concatenate(our_read(path)), np.concatenate(faery_read(faery, path))
        assert np.array_equal(canonical(a["t"] // 1000, a["x"].astype(int), a["y"], a["p"]), expected)
        assert np.array_equal(canonical(b["t"], b["x"].astype(int), b["y"], b["on"]), expected)
        size = path.stat().st_size / N_EVENTS
        title = f"{name}, decode {path.name} ({size:.2f} bytes an event)"
        compare(title, lambda p=path: our_read(p), lambda p=path: faery_read(faery, p))
    compare(f"{name}, encode", lambda: our_write(ours, events), lambda: faery_write(faery, peers, theirs))


def main() -> None:
    try:
        import faery
    except ImportError:
        sys.exit("skipped: faery is not installed (pip install faery)")
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    for name, events in (("texture", of_a_texture()), ("random", at_random())):
        with tempfile.TemporaryDirectory(dir=memory) as folder:
            run(faery, name, events, Path(folder))


if __name__ == "__main__":
    main()
