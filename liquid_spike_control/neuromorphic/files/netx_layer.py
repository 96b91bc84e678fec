# SPDX-License-Identifier: Apache-2.0
"""One layer of a netx file: its numbers, checked as they are read."""

from __future__ import annotations

from typing import ClassVar

import h5py
import numpy as np

from ...errors import ModelError

# A layer with more numbers, or more neurons, than this is damaged rather than large.
_MOST = 2**27
_MOST_NEURONS = 2**24


class Layer:
    """A group ``layer/<index>``.

    Attributes:
        index: its number.
        kind: its ``type``.
        shape: ``(channels, height, width)`` or ``(n,)``.
    """

    #: Binary places that Lava gives the states of sigma-delta and resonate-and-fire neurons.
    STATE_EXP: ClassVar[int] = 6

    def __init__(self, path: str, index: int, group: h5py.Group, notes: list[str]):
        self._path, self._group, self._notes = path, group, notes
        self.index = index
        self.kind = "layer"
        if not isinstance(group, h5py.Group):
            raise self.error("it is no group; export it again")
        self.kind = self.text("type", None)
        self.shape = self._shape()

    def error(self, message: str) -> ModelError:
        """Return an error that names the file and the layer."""
        return ModelError(f"{self._path}: layer {self.index} ({self.kind}): {message}")

    def note(self, message: str) -> None:
        """Add to the notes of the network."""
        self._notes.append(f"layer {self.index} ({self.kind}): {message}")

    def __contains__(self, name: str) -> bool:
        return name in self._group

    @property
    def neuron_kind(self) -> str | None:
        """``type`` of the neurons, None if there are none."""
        return self.text("neuron/type", None) if "neuron" in self else None

    def text(self, name: str, default: str | None) -> str:
        """A string."""
        if name not in self and default is not None:
            return default
        value = np.ravel(self._read(name))
        if value.size != 1 or not isinstance(value[0], bytes | str):
            raise self.error(f"{name} must be one string")
        return value[0].decode("ascii", "replace") if isinstance(value[0], bytes) else value[0]

    def integers(self, name: str, shape: tuple[int, ...] | None) -> np.ndarray:
        """Numbers of a shape, int64; fractions are cut off, as Lava's loader does."""
        value = self._numbers(name)
        if shape is not None:
            if value.size != np.prod(shape):
                raise self.error(f"{name} of shape {value.shape} does not meet {shape}")
            value = value.reshape(shape)
        whole = value.astype(np.int64)
        cut = int(np.count_nonzero(whole != value))
        if cut:
            self.note(f"{cut} of {value.size} numbers of {name} are no integers; their fractions are cut off")
        return whole

    def number(self, name: str, default: int) -> int:
        """One integer."""
        return int(self.integers(name, (1,))[0]) if name in self else default

    def pair(self, name: str, default: int | None) -> tuple[int, int]:
        """Two integers, along height and width."""
        if name not in self and default is not None:
            return default, default
        value = self.integers(name, None).ravel()
        if value.size not in (1, 2) or value.min() < (0 if name == "padding" else 1):
            raise self.error(f"{name} {value.tolist()[:4]} must be one or two sizes")
        return int(value[0]), int(value[-1])

    def register(self, name: str, low: int, high: int, default: int | None = None) -> np.ndarray:
        """A register of the neurons: an integer within bounds, int64 of no axis."""
        if f"neuron/{name}" not in self and default is not None:
            return np.array(default)
        value = self.integers(f"neuron/{name}", None)
        if value.size != 1:
            raise self.error(f"neuron/{name} has {value.size} numbers; export with shared_param=True")
        if not low <= value.item() <= high:
            raise self.error(f"neuron/{name} {value.item()} must lie in {low} .. {high}")
        return np.array(value.item())

    def delays(self, n: int, n_source: int) -> np.ndarray:
        """Delays of the synapses, int64 ``(n, n_source)``, out of one, one a neuron, one an input, or all."""
        if "delay" not in self:
            return np.zeros((n, n_source), np.int64)
        value = np.floor(self._numbers("delay")).astype(np.int64)
        if value.min() < 0:
            raise self.error(f"delay {value.min()} must not be negative")
        if value.max() > 62:
            self.note(f"{np.count_nonzero(value > 62)} delays beyond 62 steps become 62")
            value = np.minimum(value, 62)
        if value.size == n * n_source:
            return value.reshape(n, n_source)
        if value.size in (1, n):
            return np.broadcast_to(value.reshape(-1, 1), (n, n_source)).copy()
        if value.size == n_source:
            return np.broadcast_to(value.reshape(1, -1), (n, n_source)).copy()
        raise self.error(f"delay has {value.size} numbers; give one, or one a neuron, {n}")

    def _shape(self) -> tuple[int, ...]:
        sizes = self.integers("shape", None).ravel()
        if sizes.size not in (1, 2, 3) or sizes.min() < 1 or np.prod(sizes.astype(float)) > _MOST_NEURONS:
            raise self.error(f"shape {sizes.tolist()[:4]} must be (channels, height, width) or (n,)")
        return (1, *sizes.tolist()) if sizes.size == 2 else tuple(sizes.tolist())

    def _read(self, name: str) -> np.ndarray:
        try:
            dataset = self._group.get(name)
            if not isinstance(dataset, h5py.Dataset):
                raise self.error(f"{name} is missing; export it again")
            if dataset.size is None or dataset.size > _MOST:
                raise self.error(f"{name} of shape {dataset.shape} is too large; the file is damaged")
            return np.asarray(dataset[()])
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:  # what h5py makes of damage
            raise self.error(f"{name} cannot be read ({' '.join(str(error).split())}); export it again") from None

    def _numbers(self, name: str) -> np.ndarray:
        value = self._read(name)
        if value.dtype.kind not in "biuf" or not value.size:
            raise self.error(f"{name} must be numbers, not {value.dtype} of shape {value.shape}")
        if not np.isfinite(value).all():
            raise self.error(f"{name} has {int(np.count_nonzero(~np.isfinite(value)))} numbers that are not finite")
        if np.abs(value.astype(float)).max() > 2**31:
            raise self.error(f"{name} reaches {np.abs(value.astype(float)).max():g}; the file is damaged")
        return value.astype(np.int64) if value.dtype.kind == "b" else value
