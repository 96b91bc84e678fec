# SPDX-License-Identifier: Apache-2.0
"""Frames to events at 346 x 260 and 1 kHz, ours against v2e's arithmetic on the CPU, in one run.

v2e is not on PyPI, so the peer is not v2e itself: ``V2EArithmetic`` is its published model (Hu, Liu, Delbruck
2021, "clean": threshold mismatch, no low-pass, no noise) done as v2e does it, in whole-frame torch operations
on one thread: lin-log, difference to the memorised frame, counts, then one pass a possible event of a pixel,
gathered and put in the order of time. It has no overheads of v2e's own (files, video, hdf5), so the ratio is
a lower bound.

Run: ``python test/benchmarks/event_camera.py``
"""

from __future__ import annotations

import math
import time

import numpy as np
import torch

from liquid_spike_control.events.camera import EventCamera, EventCameraModel

WIDTH, HEIGHT, STEP_NS = 346, 260, 1_000_000
MISMATCH = 0.02
ROUNDS, STEPS = 7, 100


class V2EArithmetic:
    def __init__(self, frame: np.ndarray):
        torch.manual_seed(1)
        self.on, self.off = (
            torch.clamp(torch.normal(0.2, MISMATCH, (HEIGHT, WIDTH)), min=0.01) for _ in range(2)
        )
        self.memory = self.lin_log(frame)
        self.last_s = 0.0

    @staticmethod
    def lin_log(frame: np.ndarray) -> torch.Tensor:
        x = torch.from_numpy(frame).double()
        y = torch.where(x <= 20, x * (math.log(20) / 20), torch.log(x))
        return (torch.round(y * 1e8) / 1e8).float()

    def step(self, frame: np.ndarray, stamp_ns: int) -> np.ndarray:
        now_s = stamp_ns * 1e-9
        difference = self.lin_log(frame) - self.memory
        n_on = torch.div(torch.relu(difference), self.on, rounding_mode="floor").int()
        n_off = torch.div(torch.relu(-difference), self.off, rounding_mode="floor").int()
        self.memory += n_on * self.on - n_off * self.off
        passes = int(max(n_on.max(), n_off.max()))
        events = []
        for k in range(passes):
            t = self.last_s + (now_s - self.last_s) * (k + 1) / passes
            for counts, polarity in ((n_on, 1), (n_off, -1)):
                y, x = (counts > k).nonzero(as_tuple=True)
                columns = (torch.full_like(x, t, dtype=torch.float64), x, y, torch.full_like(x, polarity))
                events.append(torch.stack([c.double() for c in columns], 1))
        self.last_s = now_s
        return torch.vstack(events).numpy() if events else np.empty((0, 4))


def texture(speed: float) -> list[np.ndarray]:
    """Frames of a texture that moves by ``speed`` pixels a frame, forth and back."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    shifts = [*range(STEPS // 2), *range(STEPS // 2, 0, -1)]
    return [(128 + 100 * np.sin(0.1 * (x - speed * k)) * np.cos(0.07 * y)).astype(np.float32) for k in shifts]


def main() -> None:
    torch.set_num_threads(1)
    model = EventCameraModel(
        WIDTH, HEIGHT, threshold_mismatch=MISMATCH, refractory_ns=0, shot_noise_hz=0, leak_hz=0
    )
    for name, speed in (("still", 0.0), ("slow", 0.1), ("fast", 1.0)):
        frames = texture(speed)
        ours, peer = EventCamera(model), V2EArithmetic(frames[0])
        ours.reset(frames[0], 0, 1)
        best, counts, stamp = [math.inf, math.inf], [0, 0], 0
        for warm in [True] + [False] * ROUNDS:
            stamps = [stamp + (k + 1) * STEP_NS for k in range(STEPS)]
            stamp = stamps[-1]
            for i, camera in enumerate((ours, peer)):
                start = time.perf_counter()
                n = sum(len(camera.step(f, t)) for f, t in zip(frames, stamps, strict=True))
                if not warm:
                    best[i] = min(best[i], time.perf_counter() - start)
                    counts[i] += n
        fps = [STEPS / t for t in best]
        per_frame = [n / (STEPS * ROUNDS) for n in counts]
        print(
            f"{name:6} ours {fps[0]:7.0f} frames/s ({per_frame[0]:6.0f} events a frame), "
            f"v2e's arithmetic {fps[1]:5.0f} frames/s ({per_frame[1]:6.0f}), ratio {fps[0] / fps[1]:.1f}"
        )


if __name__ == "__main__":
    main()
