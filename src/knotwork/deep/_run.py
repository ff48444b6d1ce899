"""The run of a stacked training: Adam on all seeds, and rounds of convex steps and Adam."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..problem import Problem
from ..solution import TraceEntry
from ..solvers.watch import Progress
from ..stacked import StackedNetwork
from ..train import _checkpoint
from ..train._model import data_of
from ..train._progress import bar
from ..train._runner import Runner, choose_batching
from ..train._steps import Adam, Numbers
from ..train.initialisation import parameters_of
from ._plan import Plan
from ._stack_model import StackModel, numpy_of, to_stacked
from .initial import Parts, starting_point
from .refinement import interpolate_inner, rebalance, solve_last, stacked_objective

_SECONDS_BETWEEN_CHECKPOINTS = 10.0


class Run:
    """The state of a run: all seeds' arrays on the device, in phase 0 (Adam) or a later one (a round)."""

    def __init__(self, plan: Plan, began: float) -> None:
        self.plan, self.began = plan, began
        problem, n_stacks = plan.problem, len(plan.widths)
        self.model = StackModel(problem.loss_function, problem.penalty, plan.activation, plan.link, n_stacks)
        self.type = np.dtype(plan.dtype)
        self.data = data_of(problem, self.type)
        work = problem.n_rows * sum(plan.widths) * problem.n_tasks
        method: Any = Adam(self.model, "cosine", None, plan.rebalance_every)  # type: ignore[arg-type]
        self.batching = choose_batching(plan.batching, work)
        self.runner = Runner(method, self.batching)
        self.identity = self._identity()
        self.phase, self.at, self.stopped = 0, 0, False
        self.finite = np.ones(len(plan.seeds), bool)
        self.carry: dict[str, Any] = {}

    def go(self) -> None:
        plan = self.plan
        start = [
            starting_point(plan.problem, plan.dims, plan.widths, plan.initialisation, seed)
            for seed in plan.seeds
        ]
        self._begin(start)
        self._resume()
        self.last_saved = time.monotonic()
        with self._progress() as report:
            while not self.stopped:
                self._descend(report)
                if self.phase == plan.rounds or self.stopped:
                    break
                self._begin(self._refined())
                self.phase, self.at = self.phase + 1, 0
        if plan.rounds and not self.stopped:
            self._begin(self._refined(inner=False))

    def networks(self) -> list[StackedNetwork]:
        """Every seed's best so far."""
        n = len(self.plan.seeds)
        return [to_stacked(numpy_of(self.carry["best"], k), self.model) for k in range(n)]

    def _begin(self, parameters: list[Parts]) -> None:
        """From these parameters, Adam's moments 0."""
        n = len(parameters)
        p = {
            name: jnp.asarray(np.stack([one[name] for one in parameters]), self.type)
            for name in parameters[0]
        }
        infinite = jnp.full(n, jnp.inf, self.type)
        numbers = self._numbers(0)
        carry = {
            "state": self.runner.method.start(p, jnp.asarray(np.array(self.plan.seeds, np.int32)), numbers),
            "best": p,
            "best_objective": infinite,
            "objective": infinite,
            "n_neurons": jnp.zeros(n, jnp.int32),
        }
        self.carry = self.runner.advance(carry, np.ones(n, bool), 0, 0, self.data, numbers)

    def _numbers(self, phase: int) -> Any:
        plan = self.plan
        rate = plan.round_learning_rate if phase else plan.learning_rate
        steps = plan.round_steps if phase else plan.steps
        return Numbers(*(jnp.asarray(value, self.type) for value in (rate, steps, 0.9, 0.999, 1e-8)))

    def _descend(self, report: Progress | None) -> None:
        plan = self.plan
        steps = plan.round_steps if self.phase else plan.steps
        numbers = self._numbers(self.phase)
        while self.at < steps and not self.stopped:
            n = min(plan.check_every, steps - self.at)
            self.carry = self.runner.advance(self.carry, self.finite, self.at, n, self.data, numbers)
            self.at += n
            self.finite &= np.isfinite(np.asarray(self.carry["objective"]))
            self.stopped = report is not None and report(self._entry()) is True
            self._save(last=self.stopped or self.at >= steps)

    def _refined(self, inner: bool = True) -> list[Parts]:
        """Every seed's parameters after the convex steps."""
        plan = self.plan
        networks = [rebalance(network, plan.problem.penalty) for network in self.networks()]
        networks = [solve_last(plan.problem, one, plan.widths[-1]) for one in networks]
        if inner:
            order = np.argsort([stacked_objective(plan.problem, one) for one in networks], kind="stable")
            for k in order[: plan.n_interpolated]:
                networks[k] = interpolate_inner(plan.problem, networks[k], min(plan.widths))
        return [self._parts(rebalance(one, plan.problem.penalty)) for one in networks]

    def _parts(self, network: StackedNetwork) -> Parts:
        out: Parts = {}
        for j, (stack, width) in enumerate(zip(network.stacks, self.plan.widths, strict=True), 1):
            d, n_out = stack.n_inputs, stack.n_tasks
            shape = Problem(np.zeros((1, d)), np.zeros((1, n_out)), 1.0, penalty=self.plan.problem.penalty)
            out |= {f"{name}{j}": part for name, part in parameters_of(stack, shape, width).items()}
        return out

    def _entry(self) -> TraceEntry:
        best = np.asarray(self.carry["best_objective"], dtype=np.float64)
        leader = int(np.argmin(best))
        done = self.at + (self.plan.steps + (self.phase - 1) * self.plan.round_steps if self.phase else 0)
        neurons = int(np.asarray(self.carry["n_neurons"])[leader])
        return TraceEntry(done, time.monotonic() - self.began, float(best[leader]), float("inf"), neurons)

    def _progress(self) -> AbstractContextManager[Any]:
        plan, progress = self.plan, self.plan.progress
        if progress is True:
            return bar(plan.steps + plan.rounds * plan.round_steps, self.at)
        return nullcontext(progress if callable(progress) else None)

    def _identity(self) -> dict[str, str]:
        plan, problem, digest = self.plan, self.plan.problem, _checkpoint.digest
        act = plan.activation
        # what a function prints has its place in memory, which another process does not share
        act = act if isinstance(act, str) else getattr(act, "__qualname__", type(act).__qualname__)
        return {
            "data": digest(problem.X, problem.Y, problem.label_weight()),
            "problem": digest(problem.lam, problem.loss_function, problem.penalty),
            "network": digest(plan.dims, plan.widths, act, plan.link),
            "seeds": digest(plan.seeds, plan.initialisation),
            "steps": digest(plan.steps, plan.learning_rate, plan.rebalance_every, plan.check_every),
            "rounds": digest(plan.rounds, plan.round_steps, plan.round_learning_rate, plan.n_interpolated),
            "batching": digest(self.batching, plan.dtype, jax.default_backend()),
        }

    def _save(self, last: bool) -> None:
        path = self.plan.checkpoint
        due = time.monotonic() - self.last_saved >= _SECONDS_BETWEEN_CHECKPOINTS
        if path is None or not (due or last):
            return
        leaves = jax.tree_util.tree_leaves(self.carry)
        arrays = {f"state.{k}": np.asarray(leaf) for k, leaf in enumerate(leaves)}
        arrays |= {"at": np.array([self.phase, self.at]), "finite": self.finite}
        _checkpoint.write(path, arrays, self.identity)
        self.last_saved = time.monotonic()

    def _resume(self) -> None:
        path = self.plan.checkpoint
        arrays = None if path is None else _checkpoint.read(path, self.identity)
        if arrays is None:
            return
        leaves, shape = jax.tree_util.tree_flatten(self.carry)
        restored = [jnp.asarray(arrays[f"state.{k}"], leaf.dtype) for k, leaf in enumerate(leaves)]
        self.carry = jax.tree_util.tree_unflatten(shape, restored)
        self.phase, self.at = (int(value) for value in arrays["at"])
        self.finite = arrays["finite"].copy()
