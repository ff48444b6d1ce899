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
    "StackedNetwork": "stacked",
    "Problem": "problem",
    "lam_from_weight_decay": "conversions",
    "weight_decay_from_lam": "conversions",
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
    "load_network": "interchange",
    "from_torch": "interchange",
    "to_torch": "interchange",
    "from_onnx": "interchange",
    "to_onnx": "interchange",
    "from_sklearn": "interchange",
    "load_dataset": "datasets",
    "Table": "tables",
    "read_table": "tables",
    "fit_table": "workflow",
    "fit_file": "workflow",
    "FitResult": "workflow",
    "FileFitResult": "workflow",
    "solve": "solvers.solve",
    "lam_max": "solvers.solve",
    "solve_n_knots": "solvers.solve",
    "solve_sparse_group": "solvers.sparse_group",
    "SparseGroupSolution": "solvers.sparse_group",
    "certify_sparse_group": "certificate.sparse_group",
    "tighten": "certificate.tighten",
    "solve_file": "streaming.solve_file",
    "FileFit": "streaming.solve_file",
    "Reading": "streaming.reading",
    "ReadingStopped": "streaming.reading",
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
    "ambiguity": "theory.ambiguity",
    "Ambiguity": "theory.ambiguity",
    "infinite_tasks": "theory.infinite_tasks",
    "InfiniteTasks": "theory.infinite_tasks",
    "directions_experiment": "theory.directions",
    "arc_cosine_kernel": "theory.arc_cosine",
    "neural_tangent_kernel": "theory.arc_cosine",
    "random_features": "theory.random_features",
    "RandomFeatures": "theory.random_features",
    "fit_random_features": "theory.random_features",
    "RandomFeatureFit": "theory.random_features",
    "gaussian_process": "theory.gaussian_process",
    "GaussianProcess": "theory.gaussian_process",
    "fit_gaussian_process": "theory.gaussian_process",
    "GaussianProcessFit": "theory.gaussian_process",
    "rbf_kernel": "theory.gaussian_process",
    "coregionalised": "theory.coregionalised",
    "Coregionalised": "theory.coregionalised",
    "fit_coregionalised": "theory.coregionalised",
    "CoregionalisedFit": "theory.coregionalised",
    "lam_from_variances": "theory.bayesian",
    "variances_from_lam": "theory.bayesian",
    "Variances": "theory.bayesian",
    "lam_from_layer_variances": "theory.bayesian",
    "log_posterior": "theory.bayesian",
    "joint_minus_separate": "theory.contrast",
    "coregionalisation_experiment": "theory.contrast",
    "approach_optimum": "theory.approach",
    "Approach": "theory.approach",
    "smooth_optimum": "theory.approach",
    "reduce_bottleneck": "deep.bottleneck",
    "ReducedBottlenecks": "deep.bottleneck",
    "width_experiment": "theory.width",
    "WidthExperiment": "theory.width",
    "small_start_experiment": "theory.implicit",
    "SmallStartExperiment": "theory.implicit",
    "scaling_experiment": "theory.scalings",
    "ScalingExperiment": "theory.scalings",
    "train_stacked": "deep.training",
    "StackedTraining": "deep.training",
    "stack_tasks": "deep.tasks",
    "stack_costs": "deep.stack_costs",
    "StackCost": "deep.stack_costs",
    "path": "selection",
    "Path": "selection",
    "refit": "selection",
    "Refit": "selection",
    "cross_validate": "selection",
    "influence": "selection.influence",
    "Influence": "selection.influence",
    "leave_one_out": "selection.leave_one_out",
    "LeaveOneOut": "selection.leave_one_out",
    "influence_cross_validate": "selection.influence_cross_validation",
    "InfluenceCrossValidation": "selection.influence_cross_validation",
    "write_proof": "proofs",
    "verify_proof": "proofs",
    "ProofCheck": "proofs",
    "bootstrap": "selection.bootstrap",
    "Bootstrap": "selection.bootstrap_result",
    "CrossValidation": "selection",
    "compare": "comparing",
    "Comparison": "comparing",
    "MultiTaskReLURegressor": "estimators",
    "MultiTaskReLUClassifier": "estimators",
    "StackedReLURegressor": "estimators",
    "SharedKnotTransformer": "estimators",
    "audit": "auditing",
    "Audit": "auditing",
}
# rooms one enters by name, kw.train.adam(...); they import JAX only when a function of theirs is called
_ROOMS = ("train",)

__all__ = ["__version__", *_EXPORTS, *_ROOMS]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from .auditing import Audit as Audit
    from .auditing import audit as audit
    from .certificate import Certificate as Certificate
    from .certificate import certify as certify
    from .certificate.sparse_group import certify_sparse_group as certify_sparse_group
    from .certificate.tighten import tighten as tighten
    from .comparing import Comparison as Comparison
    from .comparing import compare as compare
    from .conversions import lam_from_weight_decay as lam_from_weight_decay
    from .conversions import weight_decay_from_lam as weight_decay_from_lam
    from .datasets import load_dataset as load_dataset
    from .deep.bottleneck import ReducedBottlenecks as ReducedBottlenecks
    from .deep.bottleneck import reduce_bottleneck as reduce_bottleneck
    from .deep.stack_costs import StackCost as StackCost
    from .deep.stack_costs import stack_costs as stack_costs
    from .deep.tasks import stack_tasks as stack_tasks
    from .deep.training import StackedTraining as StackedTraining
    from .deep.training import train_stacked as train_stacked
    from .dual_norm import DualNorm as DualNorm
    from .dual_norm import Rigour as Rigour
    from .dual_norm.arcs import arcs_dual_norm as arcs_dual_norm
    from .dual_norm.knots import knots_dual_norm as knots_dual_norm
    from .estimators import MultiTaskReLUClassifier as MultiTaskReLUClassifier
    from .estimators import MultiTaskReLURegressor as MultiTaskReLURegressor
    from .estimators import SharedKnotTransformer as SharedKnotTransformer
    from .estimators import StackedReLURegressor as StackedReLURegressor
    from .interchange import from_onnx as from_onnx
    from .interchange import from_sklearn as from_sklearn
    from .interchange import from_torch as from_torch
    from .interchange import load_network as load_network
    from .interchange import to_onnx as to_onnx
    from .interchange import to_torch as to_torch
    from .losses import Huber as Huber
    from .losses import Quantile as Quantile
    from .network import Knots as Knots
    from .network import ReLUNetwork as ReLUNetwork
    from .penalty import Penalty as Penalty
    from .problem import Problem as Problem
    from .proofs import ProofCheck as ProofCheck
    from .proofs import verify_proof as verify_proof
    from .proofs import write_proof as write_proof
    from .selection import CrossValidation as CrossValidation
    from .selection import Path as Path
    from .selection import Refit as Refit
    from .selection import cross_validate as cross_validate
    from .selection import path as path
    from .selection import refit as refit
    from .selection.bootstrap import bootstrap as bootstrap
    from .selection.bootstrap_result import Bootstrap as Bootstrap
    from .selection.influence import Influence as Influence
    from .selection.influence import influence as influence
    from .selection.influence_cross_validation import InfluenceCrossValidation as InfluenceCrossValidation
    from .selection.influence_cross_validation import influence_cross_validate as influence_cross_validate
    from .selection.leave_one_out import LeaveOneOut as LeaveOneOut
    from .selection.leave_one_out import leave_one_out as leave_one_out
    from .solution import Solution as Solution
    from .solution import Status as Status
    from .solution import TraceEntry as TraceEntry
    from .solvers.solve import lam_max as lam_max
    from .solvers.solve import solve as solve
    from .solvers.solve import solve_n_knots as solve_n_knots
    from .solvers.sparse_group import SparseGroupSolution as SparseGroupSolution
    from .solvers.sparse_group import solve_sparse_group as solve_sparse_group
    from .stacked import StackedNetwork as StackedNetwork
    from .storage import load as load
    from .storage import read_metadata as read_metadata
    from .storage import save as save
    from .streaming.reading import Reading as Reading
    from .streaming.reading import ReadingStopped as ReadingStopped
    from .streaming.solve_file import FileFit as FileFit
    from .streaming.solve_file import solve_file as solve_file
    from .tables import Table as Table
    from .tables import read_table as read_table
    from .theory.ambiguity import Ambiguity as Ambiguity
    from .theory.ambiguity import ambiguity as ambiguity
    from .theory.approach import Approach as Approach
    from .theory.approach import approach_optimum as approach_optimum
    from .theory.approach import smooth_optimum as smooth_optimum
    from .theory.arc_cosine import arc_cosine_kernel as arc_cosine_kernel
    from .theory.arc_cosine import neural_tangent_kernel as neural_tangent_kernel
    from .theory.bayesian import Variances as Variances
    from .theory.bayesian import lam_from_layer_variances as lam_from_layer_variances
    from .theory.bayesian import lam_from_variances as lam_from_variances
    from .theory.bayesian import log_posterior as log_posterior
    from .theory.bayesian import variances_from_lam as variances_from_lam
    from .theory.compression import Compression as Compression
    from .theory.compression import Pruning as Pruning
    from .theory.compression import compress as compress
    from .theory.compression import prune_to as prune_to
    from .theory.contrast import coregionalisation_experiment as coregionalisation_experiment
    from .theory.contrast import joint_minus_separate as joint_minus_separate
    from .theory.coregionalised import Coregionalised as Coregionalised
    from .theory.coregionalised import CoregionalisedFit as CoregionalisedFit
    from .theory.coregionalised import coregionalised as coregionalised
    from .theory.coregionalised import fit_coregionalised as fit_coregionalised
    from .theory.directions import directions_experiment as directions_experiment
    from .theory.exchangeability import KernelApproximation as KernelApproximation
    from .theory.exchangeability import TheoremRate as TheoremRate
    from .theory.exchangeability import exchangeable_tasks as exchangeable_tasks
    from .theory.exchangeability import infinite_task_problem as infinite_task_problem
    from .theory.exchangeability import kernel_approximation as kernel_approximation
    from .theory.exchangeability import task_shares as task_shares
    from .theory.exchangeability import theorem_rate as theorem_rate
    from .theory.gaussian_process import GaussianProcess as GaussianProcess
    from .theory.gaussian_process import GaussianProcessFit as GaussianProcessFit
    from .theory.gaussian_process import fit_gaussian_process as fit_gaussian_process
    from .theory.gaussian_process import gaussian_process as gaussian_process
    from .theory.gaussian_process import rbf_kernel as rbf_kernel
    from .theory.implicit import SmallStartExperiment as SmallStartExperiment
    from .theory.implicit import small_start_experiment as small_start_experiment
    from .theory.independence import Independence as Independence
    from .theory.independence import neurons_independent as neurons_independent
    from .theory.infinite_tasks import InfiniteTasks as InfiniteTasks
    from .theory.infinite_tasks import infinite_tasks as infinite_tasks
    from .theory.kernels import SobolevInterpolant as SobolevInterpolant
    from .theory.kernels import sobolev_interpolant as sobolev_interpolant
    from .theory.kernels import sobolev_kernel as sobolev_kernel
    from .theory.learned_kernel import KernelRidge as KernelRidge
    from .theory.learned_kernel import LearnedKernel as LearnedKernel
    from .theory.learned_kernel import kernel_ridge as kernel_ridge
    from .theory.learned_kernel import learned_kernel as learned_kernel
    from .theory.random_features import RandomFeatureFit as RandomFeatureFit
    from .theory.random_features import RandomFeatures as RandomFeatures
    from .theory.random_features import fit_random_features as fit_random_features
    from .theory.random_features import random_features as random_features
    from .theory.representational_cost import RepresentationalCost as RepresentationalCost
    from .theory.representational_cost import representational_cost as representational_cost
    from .theory.scalings import ScalingExperiment as ScalingExperiment
    from .theory.scalings import scaling_experiment as scaling_experiment
    from .theory.solution_set import SolutionSet as SolutionSet
    from .theory.straightening import straighten as straighten
    from .theory.task_objective import TaskObjective as TaskObjective
    from .theory.task_objective import task_objective as task_objective
    from .theory.uniqueness import Uniqueness as Uniqueness
    from .theory.uniqueness import uniqueness as uniqueness
    from .theory.width import WidthExperiment as WidthExperiment
    from .theory.width import width_experiment as width_experiment
    from .workflow import FileFitResult as FileFitResult
    from .workflow import FitResult as FitResult
    from .workflow import fit_file as fit_file
    from .workflow import fit_table as fit_table


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f".{name}", __name__)
    if name not in _EXPORTS:
        raise AttributeError(f"module 'knotwork' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_EXPORTS[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
