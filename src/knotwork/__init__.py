"""Knotwork: globally certified multi-task ReLU networks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_EXPORTS = {
    "Penalty": "penalty",
    "ReLUNetwork": "network",
    "Knots": "network",
    "Problem": "problem",
    "Rigour": "dual_norm",
    "DualNorm": "dual_norm",
    "knots_dual_norm": "dual_norm.knots",
    "Certificate": "certificate",
    "certify": "certificate",
    "Solution": "solution",
    "Status": "solution",
    "TraceEntry": "solution",
    "save": "storage",
    "load": "storage",
    "read_metadata": "storage",
    "load_dataset": "datasets",
    "Table": "tables",
    "read_table": "tables",
    "fit_table": "workflow",
    "solve": "solvers.solve",
    "lam_max": "solvers.solve",
    "solve_n_knots": "solvers.solve",
}

__all__ = ["__version__", *_EXPORTS]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from .certificate import Certificate as Certificate
    from .certificate import certify as certify
    from .datasets import load_dataset as load_dataset
    from .dual_norm import DualNorm as DualNorm
    from .dual_norm import Rigour as Rigour
    from .dual_norm.knots import knots_dual_norm as knots_dual_norm
    from .network import Knots as Knots
    from .network import ReLUNetwork as ReLUNetwork
    from .penalty import Penalty as Penalty
    from .problem import Problem as Problem
    from .solution import Solution as Solution
    from .solution import Status as Status
    from .solution import TraceEntry as TraceEntry
    from .solvers.solve import lam_max as lam_max
    from .solvers.solve import solve as solve
    from .solvers.solve import solve_n_knots as solve_n_knots
    from .storage import load as load
    from .storage import read_metadata as read_metadata
    from .storage import save as save
    from .tables import Table as Table
    from .tables import read_table as read_table
    from .workflow import fit_table as fit_table


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'knotwork' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_EXPORTS[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
