"""sup over unit neurons of |sum_i alpha_i relu(w.x_i + b)|: what the certificate rests on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Rigour(Enum):
    """What is proven of a dual norm, and so of a certificate."""

    EXACT = "exact: the dual constraint was maximised over all neurons, up to float64 rounding"
    BOUNDED = "bounded: the dual constraint holds by a proven upper bound"
    HEURISTIC = "heuristic: only a search ran; a better network may exist"


@dataclass(frozen=True, eq=False)
class DualNorm:
    """The largest response of a unit neuron to a dual point, and the neurons that reach it.

    neurons : (M, d + 1) rows (w, b) of unit neurons, local maximisers, the best one first.
    values : (M,) their responses |sum_i alpha_i relu(w.x_i + b)|.
    upper_bound : no unit neuron responds more.
    rigour : what `upper_bound` is.
    """

    neurons: Array
    values: Array
    upper_bound: float
    rigour: Rigour
