# SPDX-License-Identifier: Apache-2.0
"""Engines that run jobs in parallel: processes of this machine, or Ray's tasks on many.

A process or task does one job and ends, so that one that dies takes only its own job with it, and none hands its
state on. Kernels and torch get one thread each: the jobs are what is parallel.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from ...errors import LiquidSpikeError, WorkerError
from ...parent_death import end_with_parent

#: In the environment of each process that runs a job.
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}


@dataclass(frozen=True, slots=True)
class Failure:
    """A job that failed, and the reason in one line."""

    reason: str


class Engine(Protocol):
    """Runs a function on jobs.

    Attributes:
        slots: how many at once.
    """

    slots: int

    def submit(self, job: Any) -> None:
        """Begin a job; no more than :attr:`slots` at once."""

    def next(self) -> tuple[Any, Any]:
        """Wait until one has ended; return the job, and its outcome or a :class:`Failure`."""

    def close(self) -> None:
        """End all running jobs."""


class Processes:
    """Runs each job in a new process of this machine.

    Args:
        work: a function of a module, from job to outcome.
        slots: how many at once.

    Raises:
        LiquidSpikeError: ``slots`` is below 1.
    """

    def __init__(self, work: Callable[[Any], Any], slots: int) -> None:
        if slots < 1:
            raise LiquidSpikeError(f"--jobs {slots}: give at least 1")
        self.slots = slots
        self._work = work
        self._running: dict[Connection, tuple[BaseProcess, Any]] = {}

    def submit(self, job: Any) -> None:
        """Begin a job in a new process."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_serve, args=(self._work, job, theirs, os.getpid()), daemon=True)
        saved = {name: os.environ.get(name) for name in ONE_THREAD}
        os.environ.update(ONE_THREAD)  # a spawned process inherits it
        try:
            process.start()
        finally:
            for name, value in saved.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
        theirs.close()
        self._running[ours] = process, job

    def next(self) -> tuple[Any, Any]:
        """Wait until a process has ended."""
        connection = wait(list(self._running))[0]
        assert isinstance(connection, Connection)
        process, job = self._running.pop(connection)
        try:
            outcome = connection.recv()
        except EOFError:
            process.join()
            outcome = Failure(f"its process ended with status {process.exitcode}")
        connection.close()
        process.join()
        return job, outcome

    def close(self) -> None:
        """Kill the processes that still run."""
        for connection, (process, _) in self._running.items():
            process.kill()
            process.join()
            connection.close()
        self._running.clear()


def _serve(work: Callable[[Any], Any], job: Any, connection: Connection, parent: int) -> None:
    end_with_parent(parent)  # a training would continue for minutes without a reader
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    connection.send(attempt(work, job))
    connection.close()


def attempt(work: Callable[[Any], Any], job: Any) -> Any:
    """Run a job; return a :class:`Failure` instead of raising an exception."""
    try:
        return work(job)
    except LiquidSpikeError as error:
        return Failure(str(error))
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return Failure(f"{type(error).__name__}: {error} ({os.path.basename(where.filename)}, line {where.lineno})")


class Ray:
    """Jobs as Ray core tasks of one CPU each, on this machine or on the cluster at ``RAY_ADDRESS``.

    Every node needs this package at the same version.

    Args:
        work: a function of a module, from job to outcome.
        slots: how many at once; all CPUs of the cluster if None.

    Raises:
        WorkerError: Ray is not installed, or there is no cluster at the address.
    """

    def __init__(self, work: Callable[[Any], Any], slots: int | None = None) -> None:
        try:
            import ray
        except ImportError:
            raise WorkerError("--engine ray: Ray is not installed; pip install 'liquid_spike_control[ray]'") from None
        self._ray = ray
        self._ours = not ray.is_initialized()
        if self._ours:
            try:
                ray.init(log_to_driver=False, logging_level="ERROR", runtime_env={"env_vars": ONE_THREAD})
            except ConnectionError as error:
                raise WorkerError(f"--engine ray: no cluster answers ({' '.join(str(error).split())[:200]})") from None
        self.slots = slots or max(1, int(ray.cluster_resources().get("CPU", 1)))
        # One job a worker process: what a job leaves behind in torch and numba is gone with it
        self._task = ray.remote(num_cpus=1, max_retries=2, max_calls=1)(attempt)
        self._work = work
        self._running: dict[Any, Any] = {}

    def submit(self, job: Any) -> None:
        """Begin a job wherever a CPU is free."""
        self._running[self._task.remote(self._work, job)] = job

    def next(self) -> tuple[Any, Any]:
        """Wait until a task has ended; one whose node is lost is tried again elsewhere, twice."""
        done, _ = self._ray.wait(list(self._running), num_returns=1)
        job = self._running.pop(done[0])
        try:
            return job, self._ray.get(done[0])
        except self._ray.exceptions.RayError as error:
            return job, Failure(" ".join(str(error).split())[:300])

    def close(self) -> None:
        """Cancel the tasks that still run, and leave the cluster."""
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._running.clear()
        if self._ours:
            self._ray.shutdown()
