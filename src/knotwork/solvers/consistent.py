"""Whether labels can be interpolated at all."""

from __future__ import annotations

import numpy as np

from ..problem import INTERPOLATION_TOLERANCE, Problem


def require_consistent(problem: Problem) -> None:
    """Raise where labels at equal inputs differ: no function interpolates them."""
    X = problem.X[:, 0] if problem.n_inputs == 1 else problem.X
    inputs, which = np.unique(X, axis=0, return_inverse=True)
    if len(inputs) == problem.n_rows:
        return
    which, seen = which.ravel(), problem.label_weight() > 0
    high = np.full((len(inputs), problem.n_tasks), -np.inf)
    low = -high
    np.maximum.at(high, which, np.where(seen, problem.Y, -np.inf))
    np.minimum.at(low, which, np.where(seen, problem.Y, np.inf))
    wrong = (high - low > INTERPOLATION_TOLERANCE * problem.label_scale)[which] & seen
    if wrong.any():
        row, task = (int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"Y: row {row}, column {task} differs from another label at the same input "
            f"{', '.join(f'{x:g}' for x in problem.X[row])}; lam=0 interpolates every label: use lam > 0, or "
            "average them"
        )
