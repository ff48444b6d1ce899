"""Training from start to finish: chunks of steps, checks between them, checkpoints, stopping."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..certificate import certify
from ..problem import Problem
from ..solution import TraceEntry
from . import _checkpoint
from ._finish import Outcome, finish, proven
from ._jax import precision
from ._model import Data, data_of, to_network
from ._options import Options
from ._progress import bar
from ._runner import Carry, Runner, choose_batching
from ._steps import Method, Numbers
from .initialisation import initial_parameters
from .training import Training

_SECONDS_BETWEEN_CHECKPOINTS = 10.0


def train(problem: Problem, options: Options, method: Method, numbers: dict[str, float]) -> Training:
    """Run `method` on all seeds; see `adam` for the arguments."""
    began = time.monotonic()
    seeds = options.seed_numbers
    initial = initial_parameters(problem, options.width, seeds, options.initialisation)
    with precision(options.dtype):
        run = _Run(problem, options, method, numbers, initial, began)
        run.go()
        outcome = run.outcome()
    return finish(problem, options, method.model, outcome, began)


class _Run:
    """The state of a run: the seeds' arrays on the device, and the account of the checks."""

    def __init__(
        self,
        problem: Problem,
        options: Options,
        method: Method,
        numbers: dict[str, float],
        initial: dict[str, np.ndarray],
        began: float,
    ) -> None:
        self.problem, self.options, self.method, self.began = problem, options, method, began
        self.seeds = options.seed_numbers
        dtype = np.dtype(options.dtype)
        self.data: Data = data_of(problem, dtype)
        self.numbers = Numbers(**{name: jnp.asarray(value, dtype) for name, value in numbers.items()})
        work = problem.n_rows * options.width * problem.n_tasks
        self.batching = choose_batching(options.batching, work)
        self.identity = self._identity(numbers, initial)
        n = len(self.seeds)
        self.at, self.checks, self.lower = 0, 0, options.known_bound
        self.witness: dict[str, np.ndarray] | None = None
        self.stopped = False
        self.steps = np.full(n, -1)
        self.trace: dict[str, list[Any]] = {
            name: [] for name in ("step", "seconds", "lower", "objective", "n_neurons")
        }
        self.runner = Runner(method, self.batching)
        stacked = {name: jnp.asarray(part, dtype) for name, part in initial.items()}
        self.carry: Carry = self.runner.start(
            stacked, jnp.asarray(np.array(self.seeds, np.int32)), self.data, self.numbers
        )
        self._resume()
        self.last_saved = time.monotonic()

    @property
    def active(self) -> np.ndarray:
        return self.steps < 0

    def go(self) -> None:
        """Until every seed has stopped, the steps are taken, or `progress` says so."""
        options = self.options
        with self._progress() as report:
            while self.at < options.steps and self.active.any() and not self.stopped:
                n = min(options.check_every, options.steps - self.at)
                self.carry = self.runner.advance(self.carry, self.active, self.at, n, self.data, self.numbers)
                self.at += n
                self.checks += 1
                self._check()
                self.stopped = report is not None and report(self._entry()) is True
                self._save(last=self.stopped or self.at >= options.steps or not self.active.any())
        self.steps[self.active] = self.at

    def _check(self) -> None:
        objective = np.asarray(self.carry["objective"], dtype=np.float64)
        best = np.asarray(self.carry["best_objective"], dtype=np.float64)
        if self.options.tol is not None and self.options.lower_bound is None:
            self._certify(best)
        for name, value in (
            ("step", self.at),
            ("seconds", time.monotonic() - self.began),
            ("lower", self.lower),
            ("objective", objective),
            ("n_neurons", np.asarray(self.carry["n_neurons"])),
        ):
            self.trace[name].append(value)
        done = ~np.isfinite(objective)
        if self.options.tol is not None:
            size = np.maximum(np.abs(best), abs(self.lower)) if np.isfinite(self.lower) else 0.0
            done |= best - self.lower <= self.options.tol * size
        self.steps[self.active & done] = self.at

    def _certify(self, best: np.ndarray) -> None:
        # any network's dual bound holds for all seeds; checks 1, 2, 4, 8, ... keep its cost in bounds
        if self.checks & (self.checks - 1):
            return
        leader = int(np.argmin(best))
        network = to_network({name: part[leader] for name, part in self.carry["best"].items()})
        certificate = certify(self.problem, network)
        if proven(certificate) > self.lower:
            self.lower = proven(certificate)
            self.witness = {name: np.asarray(part[leader]) for name, part in self.carry["best"].items()}

    def _entry(self) -> TraceEntry:
        """The best seed, for `progress`."""
        best = np.asarray(self.carry["best_objective"], dtype=np.float64)
        leader = int(np.argmin(best))
        neurons = int(self.trace["n_neurons"][-1][leader])
        gap = float(best[leader]) - self.lower
        return TraceEntry(self.at, time.monotonic() - self.began, float(best[leader]), gap, neurons)

    def outcome(self) -> Outcome:
        best = {name: np.asarray(part, dtype=np.float64) for name, part in self.carry["best"].items()}
        objective = np.asarray(self.carry["objective"], dtype=np.float64)
        return Outcome(
            [{name: part[k] for name, part in best.items()} for k in range(len(self.seeds))],
            [self._trace_of(k) for k in range(len(self.seeds))],
            tuple(int(step) for step in self.steps),
            tuple(bool(finite) for finite in np.isfinite(objective)),
            self.stopped,
            self.witness,
            self.batching,
        )

    def _trace_of(self, k: int) -> tuple[TraceEntry, ...]:
        rows = zip(*self.trace.values(), strict=True)
        return tuple(
            TraceEntry(int(step), float(seconds), float(objective[k]), float(objective[k] - lower), int(n[k]))
            for step, seconds, lower, objective, n in rows
            if step <= self.steps[k]
        )

    def _identity(self, numbers: dict[str, float], initial: dict[str, np.ndarray]) -> dict[str, str]:
        options, problem, method = self.options, self.problem, self.method
        # a constant rate ends nowhere: such a run may be taken up again for more steps
        rates: Any = "constant"
        if options.schedule != "constant":
            grid = np.unique(np.linspace(0, options.steps, 65).astype(int))
            rates = [options.schedule, options.steps]
            if not isinstance(options.schedule, str):
                rates = [[float(options.schedule(int(i))) for i in grid], options.steps]
        tol = None if options.tol is None else float(options.tol)
        plain = {name: value for name, value in numbers.items() if name != "steps"}
        return {
            "data": _checkpoint.digest(problem.X, problem.Y, problem.label_weight()),
            "problem": _checkpoint.digest(problem.lam, problem.loss_function, problem.penalty),
            "method": _checkpoint.digest(
                type(method).__name__, method.batch_size, method.rescale_every, plain
            ),
            "schedule": _checkpoint.digest(rates),
            "seeds": _checkpoint.digest(self.seeds),
            "initialisation": _checkpoint.digest(*(part for _, part in sorted(initial.items()))),
            "checks": _checkpoint.digest(options.check_every, tol, float(options.known_bound)),
            "batching": _checkpoint.digest(self.batching, options.dtype, jax.default_backend()),
        }

    def _save(self, last: bool) -> None:
        path, every = self.options.checkpoint, self.options.checkpoint_every
        if path is None:
            return
        if every is None:
            due = time.monotonic() - self.last_saved >= _SECONDS_BETWEEN_CHECKPOINTS
        else:
            # the first check at or after every multiple
            due = self.at // every > (self.at - self.options.check_every) // every
        if not (due or last):
            return
        leaves = jax.tree_util.tree_leaves(self.carry)
        arrays = {f"state.{k}": np.asarray(leaf) for k, leaf in enumerate(leaves)}
        arrays |= {f"trace.{name}": np.array(values) for name, values in self.trace.items()}
        arrays["steps"], arrays["at"] = self.steps, np.array([self.at, self.checks])
        arrays["lower"] = np.array([self.lower])
        arrays |= {f"witness.{name}": part for name, part in (self.witness or {}).items()}
        _checkpoint.write(path, arrays, self.identity)
        self.last_saved = time.monotonic()

    def _resume(self) -> None:
        if self.options.checkpoint is None:
            return
        arrays = _checkpoint.read(self.options.checkpoint, self.identity)
        if arrays is None:
            return
        at, path = int(arrays["at"][0]), self.options.checkpoint
        if at > self.options.steps:
            raise ValueError(
                f"checkpoint: {path} is at step {at} already, beyond steps = {self.options.steps}; ask for "
                "more steps or name another file"
            )
        if at < self.options.steps and at % self.options.check_every:
            raise ValueError(
                f"checkpoint: {path} ended between checks, at step {at}, and cannot be gone on from; name "
                "another file"
            )
        leaves, shape = jax.tree_util.tree_flatten(self.carry)
        restored = [jnp.asarray(arrays[f"state.{k}"], leaf.dtype) for k, leaf in enumerate(leaves)]
        self.carry = jax.tree_util.tree_unflatten(shape, restored)
        for name in self.trace:
            self.trace[name] = list(arrays[f"trace.{name}"])
        self.steps = arrays["steps"].copy()
        self.at, self.checks = (int(value) for value in arrays["at"])
        self.lower = float(arrays["lower"][0])
        witness = {name[8:]: part for name, part in arrays.items() if name.startswith("witness.")}
        self.witness = witness or None

    def _progress(self) -> AbstractContextManager[Any]:
        progress = self.options.progress
        if progress is True:
            return bar(self.options.steps, self.at)
        return nullcontext(progress if callable(progress) else None)
