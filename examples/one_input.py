"""Draw the pictures of the README: python examples/one_input.py [FOLDER], docs by default.

certificate.png   why no network is better, with weight decay on the biases too
solution-set.png  all solutions of a small problem of two tasks
path.png          the knots at every lam, and the lam that `knotwork fit us-employment` takes
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import knotwork as kw
from knotwork.report.pictures import draw_certificate, draw_path, draw_solution_set, save_figure


def certificate() -> Figure:
    """Two noisy tasks with kinks at the same places."""
    rng = np.random.default_rng(1)
    x = np.sort(rng.uniform(-2, 2, 60))
    Y = np.column_stack([np.abs(x + 1) - np.maximum(x - 0.5, 0), np.maximum(x + 1, 0) - np.abs(x - 0.5)])
    Y += 0.1 * rng.standard_normal(Y.shape)
    penalty = kw.Penalty(biases=True, skip="none")
    solution = kw.solve(kw.Problem(x, Y, lam=0.3, penalty=penalty), tol=1e-10)
    print(f"{solution.network.n_neurons} neurons, relative gap {solution.certificate.relative_gap:.1g}")
    return draw_certificate(solution)


def solution_set() -> Figure:
    """The slopes of both tasks turn along one direction at 1, 2 and 3; task 1 has no label at 6."""
    x = np.arange(9.0)
    jump = np.array([[1, -0.8], [1.5, -1.2], [1, -0.8], [-4, 1.8], [0, 2], [0, 0], [0, 2]])
    Y = np.maximum(x[:, None] - x[1:-1], 0.0) @ jump
    Y[6, 1] = np.nan
    found = kw.uniqueness(x, Y)
    assert found.solution_set is not None
    print(f"unique: {found.unique}, open in {found.intervals.tolist()}")
    return draw_solution_set(found.solution_set, x, Y)


def path() -> Figure:
    """What the command line does, with inputs in years."""
    table = kw.load_dataset("us-employment")
    days, labels = table.X, table.Y
    labels = (labels - labels.mean(axis=0)) / labels.std(axis=0)
    problem = kw.Problem(2006 + days / 365.25, labels, lam=1.0)
    found = kw.cross_validate(problem, cv=10, scheme="blocked", rule="1se", n_lams=50)
    print(f"lam = {found.lam:.4g}: {found.solution.network.n_neurons} knots")
    return draw_path(kw.path(problem), found, input_name="year")


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    for name, picture in (("certificate", certificate), ("solution-set", solution_set), ("path", path)):
        save_figure(picture(), folder / f"{name}.png")
        print(f"wrote {folder / name}.png")
