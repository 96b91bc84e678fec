# SPDX-License-Identifier: Apache-2.0
"""Records of cells, and the files that hold them.

A record is one JSON file: the cell, what decided its figures (whose hash is its key), its training, and for each
perturbation every episode. The trained network lies beside it. What was computed by other versions or other numbers has
another key, and is not looked at. Processor and libraries stand beside each training and evaluation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...outputs import make_folder, write_file

#: Of the record's form.
FORM = 2


@dataclass(frozen=True)
class Training:
    """Record of a network's training.

    Attributes:
        seconds: of one core, including waits for other processes [s].
        parameters: trained numbers.
        operations: multiply-accumulates of one control step, as the architecture counts them; None for a spiking
            network, whose synaptic operations depend on its spikes.
        architecture: in words.
        model: hash of the file, see :func:`content_hash`.
        command: that makes the same file.
        cores: of a Loihi chip that a spiking network fills; None for others.
        sizes, recipe: all numbers of the architecture and of the training, field by field. They are for readers; the
            key has the versions that represent them.
        environment: see :func:`~.provenance.environment`.
    """

    seconds: float
    parameters: int
    operations: int | None
    architecture: str
    model: str
    command: str
    cores: int | None = None
    sizes: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """The episodes of one perturbation.

    Attributes:
        perturbation: its numbers.
        first_seed: of the episodes, which count up.
        success: one for each episode.
        reward: total of each episode.
        steps: control steps of all episodes.
        unsafe: of these, how many gave a command that was not finite.
        simulated_s: simulated time of all episodes [s].
        wall_s: computing time of all episodes, the plant's included [s].
        latency_p50_us, latency_p99_us: of a control step, observation to command, in process [us].
        work: of a spiking network's backend over all episodes, field by field of
            :class:`~...neuromorphic.backend.BackendStats`; None for others.
        environment: see :func:`~.provenance.environment`.
    """

    perturbation: dict[str, Any]
    first_seed: int
    success: tuple[bool, ...]
    reward: tuple[float, ...]
    steps: int
    unsafe: int
    simulated_s: float
    wall_s: float
    latency_p50_us: float
    latency_p99_us: float
    work: dict[str, int] | None = None
    environment: dict[str, Any] = field(default_factory=dict)

    @property
    def seeds(self) -> range:
        """Of the episodes."""
        return range(self.first_seed, self.first_seed + len(self.success))

    def covers(self, perturbation: dict[str, Any], seeds: range) -> bool:
        """Whether these are the episodes of ``seeds`` under ``perturbation``."""
        return self.perturbation == perturbation and self.seeds == seeds


@dataclass(frozen=True)
class Record:
    """A cell and its figures.

    Attributes:
        controller, task, training_seed: of the cell.
        provenance: everything that decides the figures; its hash is the :attr:`key`.
        training: None for a candidate that learns nothing.
        evaluations: by name of the perturbation.
    """

    controller: str
    task: str
    training_seed: int
    provenance: dict[str, Any]
    training: Training | None = None
    evaluations: dict[str, Evaluation] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """16 hex digits of the SHA-256 over the provenance."""
        return key_of(self.provenance)

    def matrix(self, perturbation: str, what: str) -> np.ndarray:
        """``success`` or ``reward`` of each episode, float64 ``(n_episodes,)``."""
        return np.array(getattr(self.evaluations[perturbation], what), float)

    def to_json(self) -> str:
        """One line a perturbation, so that a difference between two files can be read."""
        document = {"form": FORM, "key": self.key} | {k: v for k, v in asdict(self).items() if k != "evaluations"}
        for k, v in document.items():
            document[k] = _line(v)
        rows = {name: _line(_packed(e)) for name, e in self.evaluations.items()}
        inner = ",\n".join(f"  {json.dumps(name)}: {row}" for name, row in rows.items())
        outer = "".join(f"{json.dumps(k)}: {v},\n" for k, v in document.items())
        return f'{{{outer}"evaluations": {{\n{inner}\n}}}}\n'

    @classmethod
    def from_json(cls, text: str) -> Record:
        """Read the output of :meth:`to_json`.

        Raises:
            ValueError, KeyError, TypeError: it is something else.
        """
        document = json.loads(text)
        if document.pop("form") != FORM:
            raise ValueError("another form")
        key = document.pop("key")
        training = document.pop("training")
        evaluations = {name: _unpacked(e) for name, e in document.pop("evaluations").items()}
        record = cls(**document, training=training and Training(**training), evaluations=evaluations)
        if record.key != key:
            raise ValueError("the key is not that of the provenance")
        return record


def key_of(provenance: dict[str, Any]) -> str:
    """16 hex digits of the SHA-256 over a provenance."""
    return hashlib.sha256(_line(provenance).encode()).hexdigest()[:16]


def _line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)


def _packed(evaluation: Evaluation) -> dict[str, Any]:
    document = asdict(evaluation)
    document["success"] = "".join("01"[ok] for ok in evaluation.success)
    return document


def _unpacked(document: dict[str, Any]) -> Evaluation:
    success = tuple(mark == "1" for mark in document.pop("success"))
    reward = tuple(float(r) for r in document.pop("reward"))
    return Evaluation(**document, success=success, reward=reward)


class Cache:
    """Records and networks in a folder, found by what decided them.

    Args:
        folder: where they are written; made when the first is.
        also: folders that are only read, e.g. the published results.
    """

    def __init__(self, folder: Path, also: tuple[Path, ...] = ()) -> None:
        self.folder, self._also = folder, also

    def find(self, name: str, provenance: dict[str, Any]) -> Record | None:
        """The record of that provenance with the most evaluations, or None; a damaged file counts as none."""
        key = key_of(provenance)
        found = [record for record in self._read(f"{name}-{key}.json") if record.key == key]
        return max(found, key=lambda r: len(r.evaluations), default=None)

    def _read(self, file_name: str) -> Iterator[Record]:
        for folder in (self.folder, *self._also):
            try:
                yield Record.from_json((folder / file_name).read_text(encoding="utf-8"))
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue

    def store(self, name: str, record: Record) -> None:
        """Write a record, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        make_folder(self.folder)
        write_file(self.folder / f"{name}-{record.key}.json", record.to_json().encode())

    def find_network(self, name: str, key: str) -> tuple[Training, bytes] | None:
        """A trained network of that name and key, or None; a damaged file counts as none."""
        path = self.folder / f"{name}-{key}"
        try:
            training = Training(**json.loads(path.with_suffix(".training.json").read_text(encoding="utf-8")))
            model = path.with_suffix(".model").read_bytes()
        except (OSError, ValueError, TypeError):
            return None
        return (training, model) if content_hash(model) == training.model else None

    def store_network(self, name: str, key: str, training: Training, model: bytes) -> None:
        """Keep a trained network.

        Raises:
            OutputError: it cannot be written.
        """
        make_folder(self.folder)
        path = self.folder / f"{name}-{key}"
        write_file(path.with_suffix(".model"), model)
        write_file(path.with_suffix(".training.json"), f"{_line(asdict(training))}\n".encode())


def content_hash(data: bytes) -> str:
    """16 hex digits of the SHA-256 of a file's bytes."""
    return hashlib.sha256(data).hexdigest()[:16]


def joined(old: Record | None, new: Record) -> Record:
    """The new record with what only the old one has."""
    if old is None:
        return new
    return replace(new, evaluations=old.evaluations | new.evaluations)
