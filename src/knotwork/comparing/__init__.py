"""Train tasks together, or apart? Cross-validated errors of both, and of what one would use instead."""

from __future__ import annotations

from .result import Comparison, Ratio
from .running import compare

__all__ = ["Comparison", "Ratio", "compare"]
