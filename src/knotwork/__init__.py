"""Knotwork: globally certified multi-task ReLU networks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_EXPORTS = {
    "Penalty": "penalty",
    "Huber": "losses",
    "Quantile": "losses",
    "ReLUNetwork": "network",
    "Knots": "network",
    "Problem": "problem",
    "Rigour": "dual_norm",
    "DualNorm": "dual_norm",
    "knots_dual_norm": "dual_norm.knots",
    "arcs_dual_norm": "dual_norm.arcs",
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
    "uniqueness": "theory.uniqueness",
    "Uniqueness": "theory.uniqueness",
    "SolutionSet": "theory.solution_set",
    "representational_cost": "theory.representational_cost",
    "RepresentationalCost": "theory.representational_cost",
    "sobolev_kernel": "theory.kernels",
    "sobolev_interpolant": "theory.kernels",
    "SobolevInterpolant": "theory.kernels",
    "straighten": "theory.straightening",
    "compress": "theory.compression",
    "Compression": "theory.compression",
    "prune_to": "theory.compression",
    "Pruning": "theory.compression",
    "neurons_independent": "theory.independence",
    "Independence": "theory.independence",
    "learned_kernel": "theory.learned_kernel",
    "LearnedKernel": "theory.learned_kernel",
    "kernel_ridge": "theory.learned_kernel",
    "KernelRidge": "theory.learned_kernel",
    "task_objective": "theory.task_objective",
    "TaskObjective": "theory.task_objective",
    "kernel_approximation": "theory.exchangeability",
    "KernelApproximation": "theory.exchangeability",
    "theorem_rate": "theory.exchangeability",
    "TheoremRate": "theory.exchangeability",
    "task_shares": "theory.exchangeability",
    "exchangeable_tasks": "theory.exchangeability",
    "infinite_task_problem": "theory.exchangeability",
    "directions_experiment": "theory.directions",
    "path": "selection",
    "Path": "selection",
    "refit": "selection",
    "Refit": "selection",
    "cross_validate": "selection",
    "CrossValidation": "selection",
}

__all__ = ["__version__", *_EXPORTS]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from .certificate import Certificate as Certificate
    from .certificate import certify as certify
    from .datasets import load_dataset as load_dataset
    from .dual_norm import DualNorm as DualNorm
    from .dual_norm import Rigour as Rigour
    from .dual_norm.arcs import arcs_dual_norm as arcs_dual_norm
    from .dual_norm.knots import knots_dual_norm as knots_dual_norm
    from .losses import Huber as Huber
    from .losses import Quantile as Quantile
    from .network import Knots as Knots
    from .network import ReLUNetwork as ReLUNetwork
    from .penalty import Penalty as Penalty
    from .problem import Problem as Problem
    from .selection import CrossValidation as CrossValidation
    from .selection import Path as Path
    from .selection import Refit as Refit
    from .selection import cross_validate as cross_validate
    from .selection import path as path
    from .selection import refit as refit
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
    from .theory.compression import Compression as Compression
    from .theory.compression import Pruning as Pruning
    from .theory.compression import compress as compress
    from .theory.compression import prune_to as prune_to
    from .theory.directions import directions_experiment as directions_experiment
    from .theory.exchangeability import KernelApproximation as KernelApproximation
    from .theory.exchangeability import TheoremRate as TheoremRate
    from .theory.exchangeability import exchangeable_tasks as exchangeable_tasks
    from .theory.exchangeability import infinite_task_problem as infinite_task_problem
    from .theory.exchangeability import kernel_approximation as kernel_approximation
    from .theory.exchangeability import task_shares as task_shares
    from .theory.exchangeability import theorem_rate as theorem_rate
    from .theory.independence import Independence as Independence
    from .theory.independence import neurons_independent as neurons_independent
    from .theory.kernels import SobolevInterpolant as SobolevInterpolant
    from .theory.kernels import sobolev_interpolant as sobolev_interpolant
    from .theory.kernels import sobolev_kernel as sobolev_kernel
    from .theory.learned_kernel import KernelRidge as KernelRidge
    from .theory.learned_kernel import LearnedKernel as LearnedKernel
    from .theory.learned_kernel import kernel_ridge as kernel_ridge
    from .theory.learned_kernel import learned_kernel as learned_kernel
    from .theory.representational_cost import RepresentationalCost as RepresentationalCost
    from .theory.representational_cost import representational_cost as representational_cost
    from .theory.solution_set import SolutionSet as SolutionSet
    from .theory.straightening import straighten as straighten
    from .theory.task_objective import TaskObjective as TaskObjective
    from .theory.task_objective import task_objective as task_objective
    from .theory.uniqueness import Uniqueness as Uniqueness
    from .theory.uniqueness import uniqueness as uniqueness
    from .workflow import fit_table as fit_table


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'knotwork' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_EXPORTS[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
