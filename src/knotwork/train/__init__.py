"""Gradient training of shallow networks on many seeds, priced by the objective that is certified.

Needs JAX and Optax (pip install 'knotwork[train]'), which are imported when training starts.
"""

from __future__ import annotations

from .adam import adam
from .pathprox import pathprox
from .presets import RECIPES, Recipe
from .training import Training

__all__ = ["RECIPES", "Recipe", "Training", "adam", "pathprox"]
