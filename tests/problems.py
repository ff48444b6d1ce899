"""Problems solved by hand: primal and dual optimum, fitted values and dual point.

With D the matrix of slope changes and g = D y (w = 1), the dual is max <p, g> - |D'p|^2 / 2
subject to |p_j| <= lam, alpha = D'p, f = y - alpha / w. Three points have one p: with
Q = sum_i D_i^2 / w_i, lam_max = |g| / Q and, below it, p = lam g / |g|,
F = lam |g| - Q lam^2 / 2; above it F = |g|^2 / (2 Q).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

nan = float("nan")


@dataclass(frozen=True, eq=False)
class Known:
    """One solved problem. `fitted` and `alpha` are in the rows of the data; None where the optimum
    is not unique (`fitted`) or trivially zero (`alpha`)."""

    name: str
    X: np.ndarray
    Y: np.ndarray
    lam: float
    optimum: float
    fitted: np.ndarray | None
    alpha: np.ndarray
    lam_max: float
    weight: np.ndarray | None = None


def _known(name, X, Y, lam, optimum, fitted, alpha, lam_max, weight=None):
    def column(a):
        a = np.array(a, dtype=float)
        return a[:, None] if a.ndim == 1 else a

    return Known(
        name,
        np.array(X, dtype=float),
        column(Y),
        lam,
        optimum,
        None if fitted is None else column(fitted),
        column(alpha),
        lam_max,
        None if weight is None else np.array(weight, dtype=float),
    )


a, lam = 3.0, 0.4

CATALOGUE = [
    # D = (1, -2, 1), Q = 6, g = -2a: p = -lam, alpha = lam (-1, 2, -1), F = 2 a lam - 3 lam^2
    _known(
        "hat",
        [0, 1, 2],
        [0, a, 0],
        lam,
        2 * a * lam - 3 * lam**2,
        [lam, a - 2 * lam, lam],
        [-lam, 2 * lam, -lam],
        a / 3,
    ),
    # the same data above lam_max = a / 3: p = -a / 3, the mean is fitted, F = a^2 / 3
    _known(
        "hat above lam_max",
        [0, 1, 2],
        [0, a, 0],
        2.0,
        a**2 / 3,
        [a / 3] * 3,
        [-a / 3, 2 * a / 3, -a / 3],
        a / 3,
    ),
    # rows in another order, the hat turned over and lifted by an affine part, which changes nothing
    _known(
        "hat, unsorted, on a line",
        [2, 0, 1],
        [5 + 14, 5, 5 + 7 - a],
        lam,
        2 * a * lam - 3 * lam**2,
        [19 - lam, 5 - lam, 12 - a + 2 * lam],
        [lam, lam, -2 * lam],
        a / 3,
    ),
    # D = (1, -3/2, 1/2), Q = 7/2, g = 1 * 1 - 3/2 * 3 + 1/2 * (-1) = -4, p = -lam, F = 4 lam - 7/4 lam^2
    _known(
        "three points, irregular",
        [0, 1, 3],
        [1, 3, -1],
        lam,
        4 * lam - 1.75 * lam**2,
        [1 + lam, 3 - 1.5 * lam, -1 + 0.5 * lam],
        [-lam, 1.5 * lam, -0.5 * lam],
        4 / 3.5,
    ),
    # Q = 1 + 4/2 + 1/(1/2) = 5, g = -2a, alpha = lam (-1, 2, -1), f = y - alpha / w
    _known(
        "three points, weighted",
        [0, 1, 2],
        [0, a, 0],
        lam,
        2 * a * lam - 2.5 * lam**2,
        [lam, a - lam, 2 * lam],
        [-lam, 2 * lam, -lam],
        2 * a / 5,
        [1, 2, 0.5],
    ),
    # g = (0 - 6 + 0, 1 - 10 + 1) = (-6, -8), |g| = 10, p = -lam (.6, .8), F = 10 lam - 3 lam^2 at lam = 1
    _known(
        "two tasks",
        [0, 1, 2],
        [[0, 1], [3, 5], [0, 1]],
        1.0,
        7.0,
        [[0.6, 1.8], [1.8, 3.4], [0.6, 1.8]],
        [[-0.6, -0.8], [1.2, 1.6], [-0.6, -0.8]],
        10 / 6,
    ),
    # fit c + m|x|, e = a - m: residual e (|x| - 6/5), p(0) = 1.4 e = lam and p(1) = .8 e < lam
    _known(
        "V",
        [-2, -1, 0, 1, 2],
        [2 * a, a, 0, a, 2 * a],
        lam,
        2 * a * lam - lam**2 / 1.4,
        [k * a - lam / 1.4 * (k - 1.2) for k in (2, 1, 0, 1, 2)],
        [lam / 1.4 * (k - 1.2) for k in (2, 1, 0, 1, 2)],
        1.4 * a,
    ),
    # DD' = [[6, -4], [-4, 6]], g = (5, -7), p = (lam, -lam): |D'p|^2 = 20 lam^2, u = g - DD'p keeps
    # its signs; F = 12 lam - 10 lam^2; for lam_max the free fit's p = (DD')^-1 g = (.1, -1.1)
    _known(
        "two knots, opposed",
        [0, 1, 2, 3],
        [0, 0, 5, 3],
        lam,
        12 * lam - 10 * lam**2,
        [-lam, 3 * lam, 5 - 3 * lam, 3 + lam],
        [lam, -3 * lam, 3 * lam, -lam],
        1.1,
    ),
    # g = (5, 7), p = (lam, lam): |D'p|^2 = 4 lam^2, F = 12 lam - 2 lam^2; aligned neighbours, and yet
    # the fitted values are unique; the free fit has p = (DD')^-1 g = (2.9, 3.1)
    _known(
        "two knots, aligned",
        [0, 1, 2, 3],
        [0, 0, 5, 17],
        lam,
        12 * lam - 2 * lam**2,
        [-lam, lam, 5 + lam, 17 - lam],
        [lam, -lam, -lam, lam],
        3.1,
    ),
    # the labels a + 1 and a - 1 at x = 1 act as their mean with weight 2 and leave 1 in the loss:
    # Q = 1 + 4/2 + 1 = 4, F = 1 + 2 a lam - 2 lam^2
    _known(
        "conflicting labels",
        [1, 0, 1, 2],
        [a + 1, 0, a - 1, 0],
        lam,
        1 + 2 * a * lam - 2 * lam**2,
        [a - lam, lam, a - lam, lam],
        [lam + 1, -lam, lam - 1, -lam],
        a / 2,
    ),
    # task 1 is the irregular triple at (0, 1, 3), its label at 2 missing; task 2 is a line
    _known(
        "gap beside a line",
        [0, 1, 2, 3],
        [[1, 0], [3, 2], [nan, 4], [-1, 6]],
        lam,
        4 * lam - 1.75 * lam**2,
        [[1 + lam, 0], [3 - 1.5 * lam, 2], [1 - 0.5 * lam, 4], [-1 + 0.5 * lam, 6]],
        [[-lam, 0], [1.5 * lam, 0], [0, 0], [-0.5 * lam, 0]],
        4 / 3.5,
    ),
    # two hats without a common input: p_1 lives on (0, 2) and p_2 on (3, 5), so the costs add up
    _known(
        "hats apart",
        [0, 1, 2, 3, 4, 5],
        [[0, nan], [a, nan], [0, nan], [nan, 0], [nan, 2 * a], [nan, 0]],
        lam,
        6 * a * lam - 6 * lam**2,
        None,
        [[-lam, 0], [2 * lam, 0], [-lam, 0], [0, -lam], [0, 2 * lam], [0, -lam]],
        2 * a / 3,
    ),
    # slope changes (-3/2, 2) and (1/2, -2): F = sqrt(25/4) + sqrt(17/4), alpha = D'(u / |u|)
    _known(
        "connect the dots",
        [0, 1, 3, 4],
        [[0, 0], [1, 0], [0, 4], [0, 4]],
        0.0,
        2.5 + np.sqrt(4.25),
        [[0, 0], [1, 0], [0, 4], [0, 4]],
        np.array([[1, 0], [-1.5, 0.5], [0.5, -1.5], [0, 1]])
        @ np.array([[-0.6, 0.8], [0.5 / np.sqrt(4.25), -2 / np.sqrt(4.25)]]),
        nan,
    ),
    # f_2(2) = z costs |z| + sqrt(1 + (2 - 2z)^2): 2 - 2z = 1/sqrt 3, F = 1 + sqrt(3)/2; p(1) = (0, 1),
    # p(2) = (sqrt(3)/2, 1/2) makes alpha vanish at the gap
    _known(
        "interpolation with a gap",
        [0, 1, 2, 3],
        [[0, 0], [0, 0], [0, nan], [1, 2]],
        0.0,
        1 + np.sqrt(3) / 2,
        [[0, 0], [0, 0], [0, 1 - 0.5 / np.sqrt(3)], [1, 2]],
        [[0, 1], [np.sqrt(3) / 2, -1.5], [-np.sqrt(3), 0], [np.sqrt(3) / 2, 0.5]],
        nan,
    ),
    # the slope of task 2 goes from 0 to 4 convexly, whatever its value in [0, 3] at 2.5: F = 4, p_2 = 1
    _known(
        "interpolation, not unique",
        [0, 1, 2.5, 4, 5],
        [[1, 0], [3, 0], [6, nan], [9, 6], [11, 10]],
        0.0,
        4.0,
        None,
        [[0, 1], [0, -1], [0, 0], [0, -1], [0, 1]],
        nan,
    ),
    # lines cost nothing
    _known(
        "line",
        [0, 0.5, 4],
        [[1, 2], [2, 2], [9, 2]],
        lam,
        0.0,
        [[1, 2], [2, 2], [9, 2]],
        np.zeros((3, 2)),
        0.0,
    ),
    _known("line at lam = 0", [3, 0, 1], [7, 1, 3], 0.0, 0.0, [7, 1, 3], np.zeros(3), nan),
    _known("constant labels", [0, 0.3, 4, 5], [2, 2, 2, 2], lam, 0.0, [2, 2, 2, 2], np.zeros(4), 0.0),
    _known("one row", [1.5], [[3, -1]], lam, 0.0, [[3, -1]], np.zeros((1, 2)), 0.0),
    _known("two rows", [1.5, 0], [[3, -1], [0, 0]], lam, 0.0, [[3, -1], [0, 0]], np.zeros((2, 2)), 0.0),
    # one input: the mean is fitted, whatever lam; loss ((1/2)^2 + (1/2)^2) / 2
    _known("equal inputs", [1, 1], [2, 3], lam, 0.25, [2.5, 2.5], [-0.5, 0.5], 0.0),
]
