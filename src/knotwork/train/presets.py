"""The training recipes of paper A's Appendix B, in each reading that its text allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from numpy.typing import ArrayLike

from ..conversions import LossMean, lam_from_a2, lam_from_a3, lam_from_weight_decay
from ..penalty import Penalty
from ..problem import Problem

Reading = Literal["all", "rows", "none", "(2)", "(3)"]


@dataclass(frozen=True)
class Recipe:
    """Width, lambda and network of one experiment. A says Adam, mean squared error and "to convergence";
    it gives no learning rate, number of steps, seeds or initialisation, and not what lambda multiplies.

    width : neurons.
    lam : A's lambda.
    penalty : weights only, as A's section 1 says; with a skip connection in one input (A (1)), none in
        several (A (11)).
    """

    width: int
    lam: float
    penalty: Penalty

    def problem(self, X: ArrayLike, Y: ArrayLike, reading: Reading = "all") -> Problem:
        """The problem that lambda stands for.

        Parameters
        ----------
        X, Y : (N, d) or (N,), and (N, T) or (N,), as for `Problem`.
        reading : "all", "rows" or "none": lambda is PyTorch's weight_decay and the loss the mean of the
            squared errors over all labels (`MSELoss`), over the rows, or their sum. "(2)" or "(3)": lambda
            multiplies the sum of squares of A (2), or the norms of A (3), beside a sum of (y - f)^2 / 2.
        """
        if reading in ("all", "rows", "none"):
            mean: LossMean = reading
            lam = lam_from_weight_decay(self.lam, Y, loss_mean=mean)
        elif reading in ("(2)", "(3)"):
            lam = (lam_from_a2 if reading == "(2)" else lam_from_a3)(self.lam)
        else:
            raise ValueError(f"reading: must be 'all', 'rows', 'none', '(2)' or '(3)', got {reading!r}")
        return Problem(X, Y, lam, penalty=self.penalty)  # type: ignore[arg-type]


RECIPES = {
    # sections 3.2 and B: one input
    "univariate": Recipe(20, 1e-5, Penalty(False, "free")),
    # sections 4 and B: the squares of Fig. 5
    "multivariate": Recipe(800, 1e-3, Penalty(False, "none")),
    # section B.2: teachers in five inputs
    "teachers": Recipe(800, 1e-4, Penalty(False, "none")),
}
