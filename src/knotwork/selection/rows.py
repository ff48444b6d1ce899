"""Rows that occur more than once, or weigh nothing."""

from __future__ import annotations

import numpy as np

from ..problem import Problem


def merged_rows(problem: Problem) -> Problem:
    """Every row once, of its total weight, in the order of their values, where rows have weights or occur
    twice: then a weight of 2 is the same problem as two rows, and 0 as none."""
    w, d = problem.label_weight(), problem.n_inputs
    table = np.column_stack([problem.X, np.where(w > 0, problem.Y, np.inf)])
    if problem.sample_weight is None and len(np.unique(table, axis=0)) == len(table):
        return problem
    keep = (w > 0).any(axis=1)
    distinct, which = np.unique(table[keep], axis=0, return_inverse=True)
    total = np.zeros((len(distinct), problem.n_tasks))
    np.add.at(total, which.ravel(), w[keep])
    labels = np.where(total > 0, distinct[:, d:], np.nan)
    share = total.max(axis=1)
    alike = bool(np.all((total == share[:, None]) | (total == 0)))
    weight = share if alike else total
    return Problem(distinct[:, :d], labels, problem.lam, problem.loss, problem.penalty, weight)
