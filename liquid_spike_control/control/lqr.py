# SPDX-License-Identifier: Apache-2.0
"""Linear quadratic regulators about an equilibrium of a MuJoCo model.

Around an equilibrium, with ``e`` the deviation from it and the command held for a period T (zero-order hold),

    e' = A e + B (u - u0)                                MuJoCo's own transition, linearised
    u = u0 - K e,  K = (R + B' P B)^-1 B' P A            linear quadratic regulator
    P = A' P A - A' P B (R + B' P B)^-1 B' P A + Q       discrete algebraic Riccati equation

which minimises the sum of ``e' Q e + (u - u0)' R (u - u0)`` (Anderson and Moore, "Optimal Control", 1990).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
import scipy.linalg

from ..errors import TaskError


def linearise(
    model: mujoco.MjModel,
    period_s: float,
    qpos: Sequence[float] | None = None,
    ctrl: Sequence[float] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Discrete dynamics of small deviations over one control period, by centred differences.

    Args:
        model: any model; its velocity is taken to be zero at the equilibrium.
        period_s: control period [s], a whole number of physics steps.
        qpos: the equilibrium, ``(nq,)``; by default the model's reference pose.
        ctrl: the controls that hold it there, ``(nu,)``; zero by default.

    Returns:
        A ``(n, n)`` and B ``(n, nu)`` with ``n = 2 nv + na``; the state is (positions, velocities,
        activations) in MuJoCo's order, positions in the tangent space.

    Raises:
        TaskError: the period is not a whole number of physics steps.
    """
    timestep = model.opt.timestep
    n_steps = round(period_s / timestep)
    if n_steps < 1 or abs(n_steps * timestep - period_s) > 1e-9:
        raise TaskError(f"period_s is {period_s}; give a multiple of the physics step, {timestep} s")
    data = mujoco.MjData(model)
    if qpos is not None:
        data.qpos[:] = qpos
    if ctrl is not None:
        data.ctrl[:] = ctrl
    mujoco.mj_forward(model, data)
    n = 2 * model.nv + model.na
    a, b = np.zeros((n, n)), np.zeros((n, model.nu))
    mujoco.mjd_transitionFD(model, data, 1e-6, True, a, b, None, None)
    # The command is held over the physics steps: x(k+1) = a x(k) + b u, n_steps times.
    period_a, period_b = np.eye(n), np.zeros_like(b)
    for _ in range(n_steps):
        period_a, period_b = a @ period_a, a @ period_b + b
    return period_a, period_b


@dataclass(frozen=True, eq=False)
class Lqr:
    """State feedback within limits: ``u = clip(u0 - K (x - x0))``.

    Attributes:
        gain: K, ``(n_commands, n_states)``.
        lower, upper: range of each command.
        setpoint: x0, ``(n_states,)``; zero by default.
        feedforward: u0, ``(n_commands,)``; zero by default.
    """

    gain: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    setpoint: np.ndarray | float = 0.0
    feedforward: np.ndarray | float = 0.0

    def step(self, observation: np.ndarray) -> np.ndarray:
        """Command ``(n_commands,)`` for the true state ``(n_states,)``, ordered as the gain's columns."""
        command = self.feedforward - self.gain @ (np.asarray(observation, float) - self.setpoint)
        return np.clip(command, self.lower, self.upper)

    @classmethod
    def design(
        cls,
        a: np.ndarray,
        b: np.ndarray,
        order: Sequence[int],
        state_weights: Sequence[float],
        command_weights: Sequence[float],
        lower: Sequence[float],
        upper: Sequence[float],
    ) -> Lqr:
        """The regulator of a linear system.

        Args:
            a: from :func:`linearise`, ``(n, n)``.
            b: from :func:`linearise`, ``(n, n_commands)``.
            order: where each observation lies in the state of ``a``; all states, each once.
            state_weights: diagonal of Q, in the order of the observations.
            command_weights: diagonal of R; positive.
            lower: of each command.
            upper: of each command.

        Raises:
            TaskError: the weights or the order do not fit the system, or no regulator stabilises it.
        """
        order = list(order)
        if sorted(order) != list(range(len(a))):
            raise TaskError(f"order is {order}; name each of the {len(a)} states once")
        a, b = a[np.ix_(order, order)], b[order]
        if len(state_weights) != len(a) or len(command_weights) != b.shape[1]:
            raise TaskError(f"weights: give {len(a)} for the state and {b.shape[1]} for the commands")
        q, r = np.diag(state_weights).astype(float), np.diag(command_weights).astype(float)
        try:
            p = scipy.linalg.solve_discrete_are(a, b, q, r)
        except (np.linalg.LinAlgError, ValueError) as error:
            raise TaskError(f"weights: no regulator stabilises the system ({error})") from None
        gain = np.linalg.solve(r + b.T @ p @ b, b.T @ p @ a)
        return cls(gain, np.asarray(lower, float), np.asarray(upper, float))
