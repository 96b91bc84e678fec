# SPDX-License-Identifier: Apache-2.0
"""Spiking perception: events -> axon spikes -> spiking network on a backend -> named estimates."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .errors import ModelError
from .events.binning import SpikeBinner
from .types import Quantities, SpikeTrain

if TYPE_CHECKING:
    from .events.filters import FrontEnd
    from .neuromorphic.backend import Backend
    from .spiking.nir_io import PerceptionModel


class Perception:
    """Everything of the perception but the backend, which may live in another process.

    Args:
        model: a perception model, from :func:`~liquid_spike_control.spiking.nir_io.read_perception_model`.
        front_end: of the cameras; none takes their events as they are.

    Attributes:
        width, height: columns and rows of the picture that the network takes.

    Raises:
        ModelError: the model's metadata does not say how its input is encoded.
    """

    def __init__(self, model: PerceptionModel, front_end: FrontEnd | None = None) -> None:
        self.model, self.front_end = model, front_end
        try:
            encoding = model.metadata["input_encoding"]
            self.width, self.height = int(encoding["width"]), int(encoding["height"])
            row_group = int(encoding["row_group"])
            self.step_ns = round(float(model.metadata["dt"]) * 1e9)
            self.feature_names = tuple(model.metadata["feature_names"])
            self.feature_units = tuple(model.metadata["feature_units"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{model.source}: its metadata lack or spoil {error}; train it again or choose another file"
            ) from error
        self.binner = SpikeBinner(self.width, self.height, row_group, self.step_ns)
        # A readout has a state: two perceptions with one model must not share it
        self._readout = copy.deepcopy(model.readout)
        for field, found, wanted in (
            ("input_encoding", self.binner.n_axons, model.graph.n_inputs),
            ("feature_names", len(self.feature_names), model.readout.n_features),
            ("feature_units", len(self.feature_units), model.readout.n_features),
        ):
            if found != wanted:
                raise ModelError(
                    f"{model.source}: {field} stands for {found}, the network has {wanted}; train it again"
                )
        self.reset(0)

    def check_fits(
        self, feature_names: Sequence[str], feature_units: Sequence[str], picture: tuple[int, int] | None = None
    ) -> None:
        """Refuse a perception that was made for another robot.

        Args:
            feature_names, feature_units: what the controller is to be given, in order.
            picture: width and height of the camera [pixels], where they are known.

        Raises:
            ModelError: the first misfit.
        """
        if self.front_end is not None and picture == self.picture:
            picture = self.front_end.width, self.front_end.height
        for field, found, wanted in (
            ("feature_names", self.feature_names, tuple(feature_names)),
            ("feature_units", self.feature_units, tuple(feature_units)),
            ("input_encoding", (self.width, self.height), picture or (self.width, self.height)),
        ):
            if found != wanted:
                raise ModelError(
                    f"{self.model.source}: {field} are {found}, the robot has {wanted}; choose a model trained for it"
                )

    @property
    def picture(self) -> tuple[int, int]:
        """Columns and rows of the cameras, side by side, whose events are taken."""
        front_end = self.front_end
        return (self.width, self.height) if front_end is None else (front_end.camera_width, front_end.camera_height)

    @property
    def n_axons(self) -> int:
        """Number of input axons of the network."""
        return self.binner.n_axons

    @property
    def rejected(self) -> int:
        """Events outside the picture or the window since the start; what the front end drops on purpose is none."""
        outside = 0 if self.front_end is None else self.front_end.outside
        return self.binner.rejected + outside

    def reset(self, stamp_ns: int) -> None:
        """Forget all; the next events are later than ``stamp_ns``."""
        self._until_ns = stamp_ns
        self._readout.reset()
        if self.front_end is not None:
            self.front_end.reset()

    def encode(self, events: np.ndarray, stamp_ns: int) -> SpikeTrain:
        """Axon spikes of the steps from the last stamp to this one.

        Args:
            events: EVENT array, sorted by time, of the cameras side by side.
            stamp_ns: end of the window [ns]; part of a step is left for the next window.
        """
        if self.front_end is not None:
            events = self.front_end.apply(events)
        n_steps = max(0, (stamp_ns - self._until_ns) // self.step_ns)
        spikes = self.binner.bin(events, self._until_ns, n_steps)
        self._until_ns += n_steps * self.step_ns
        return spikes

    def decode(self, spikes: SpikeTrain, stamp_ns: int) -> Quantities:
        """Estimates from the network's output spikes, stamped with the time of the events."""
        return Quantities(stamp_ns, self.feature_names, self._readout.step(spikes))

    def step(self, events: np.ndarray, stamp_ns: int, backend: Backend) -> Quantities:
        """Events in, estimates out, with the backend in this process."""
        return self.decode(backend.run(self.encode(events, stamp_ns)), stamp_ns)
