"""Twenty data sets for what labels do to fits: every penalty, gaps, ties, weights, one input and two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import knotwork as kw

FREE = kw.Penalty()
PAPER_A = kw.Penalty(False, "none")
PAPER_B = kw.Penalty(True, "none")
FROBENIUS, NUCLEAR = kw.Penalty(True, "frobenius"), kw.Penalty(True, "nuclear")


@dataclass(frozen=True)
class Case:
    """A problem by the numbers that make it; `share` is lam over lam_max."""

    name: str
    penalty: kw.Penalty = FREE
    n_inputs: int = 1
    n_rows: int = 24
    n_tasks: int = 3
    share: float = 0.02
    missing: float = 0.0
    ties: bool = False
    weights: str = ""
    seed: int = 0

    def problem(self) -> kw.Problem:
        rng = np.random.default_rng(100 + self.seed)
        X = rng.uniform(-1.0, 1.0, (self.n_rows, self.n_inputs))
        if self.ties:
            X = np.round(X, 1)
        bends = rng.normal(size=(5, self.n_inputs + 1))
        Y = np.maximum(X @ bends[:, :-1].T + 0.5 * bends[:, -1], 0.0) @ rng.normal(size=(5, self.n_tasks))
        Y = 2.0 * Y + 0.2 * rng.normal(size=Y.shape)
        Y[rng.uniform(size=Y.shape) < self.missing] = np.nan
        weight = None
        if self.weights:
            weight = rng.uniform(0.5, 2.0, Y.shape if self.weights == "labels" else self.n_rows)
        problem = kw.Problem(X, Y, 1.0, penalty=self.penalty, sample_weight=weight)
        return problem.with_lam(self.share * kw.lam_max(problem))


CASES = [
    Case("plain"),
    Case("one task", n_tasks=1, seed=1),
    Case("small lam", share=0.002, seed=2),
    Case("large lam", share=0.3, seed=3),
    Case("many tasks", n_tasks=8, seed=4),
    Case("ties", ties=True, seed=5),
    Case("gaps", missing=0.3, seed=6),
    Case("gaps and weights of rows", missing=0.2, weights="rows", seed=7),
    Case("weights of labels", weights="labels", ties=True, seed=8),
    Case("no skip", PAPER_A, seed=9),
    Case("no skip, gaps", PAPER_A, missing=0.2, seed=10),
    Case("penalised", PAPER_B, seed=11),
    Case("penalised, ties and gaps", PAPER_B, ties=True, missing=0.2, seed=12),
    Case("frobenius", FROBENIUS, weights="rows", seed=13),
    Case("nuclear", NUCLEAR, seed=14),
    Case("two inputs", n_inputs=2, share=0.05, seed=15),
    Case("two inputs, gaps", n_inputs=2, share=0.05, missing=0.2, seed=16),
    Case("two inputs, no skip", PAPER_A, n_inputs=2, share=0.05, ties=True, seed=17),
    Case("two inputs, penalised", PAPER_B, n_inputs=2, share=0.05, seed=18),
    Case("two inputs, nuclear", NUCLEAR, n_inputs=2, weights="rows", seed=19),
]
