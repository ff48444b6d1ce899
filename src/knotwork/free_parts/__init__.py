"""The fit without neurons, for any loss and penalty; and where there is none, its direction of recession."""

from __future__ import annotations

from .fits import affine_fit, least_squares
from .recession import recession

__all__ = ["affine_fit", "least_squares", "recession"]
