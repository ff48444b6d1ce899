"""What an estimator predicts where it saw no data."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..workflow import Extrapolation, InputBox, check_extrapolation
from ._inputs import label_weight

Array = NDArray[np.float64]


class Extrapolating:
    """Notes the box of the inputs with labels, and moves later ones as `extrapolation` says.

    Attributes after `fit`: input_box_.
    """

    extrapolation: Extrapolation
    input_box_: InputBox

    def _note_box(self, X: Array, Y: Array, weight: Array | None) -> None:
        check_extrapolation(self.extrapolation)
        self.input_box_ = InputBox.of(X[(label_weight(Y, weight) > 0).any(axis=1)])

    def _inside(self, X: Array) -> Array:
        names: Any = getattr(self, "feature_names_in_", None)
        return self.input_box_.apply(X, self.extrapolation, names)
