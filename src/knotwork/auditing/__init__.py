"""Networks trained elsewhere: how far from the optimum they are, what in them is idle, a better one."""

from __future__ import annotations

from .measure import audit
from .neurons import Neurons
from .result import Audit, Objectives

__all__ = ["Audit", "Neurons", "Objectives", "audit"]
