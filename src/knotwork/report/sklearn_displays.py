"""Displays in scikit-learn's manner, of fitted estimators and of solutions: thin, the pictures are drawn by
`pictures` and `audit_pictures`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from .._validate import as_float_array
from ..auditing.neurons import look_at
from ..network import ReLUNetwork
from ..scaling import TaskScaling
from ..selection import CrossValidation, path
from ..selection.path import Path
from ..solution import Solution
from ..theory.solution_set import SolutionSet
from ..theory.uniqueness import uniqueness
from .pictures import (
    _DATA,
    _FIT,
    _KNOT,
    _frame,
    _legend,
    _panels,
    _refined,
    _title,
    draw_certificate,
    draw_path,
    draw_solution_set,
)
from .text import count, one_line

Array = NDArray[np.float64]
_MOST_PANELS, _MOST_POINTS, _MOST_COLUMNS, _MOST_NAMES, _LONGEST_NAME = 6, 1500, 120, 40, 36


class Display(ABC):
    """A picture: `plot` draws it and sets `figure_` and `ax_`, an Axes, or an array of them where it has
    several panels."""

    figure_: Figure
    ax_: Any

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **options: Any) -> Self:
        """Of a fitted `MultiTaskReLURegressor`, `MultiTaskReLUClassifier` or `SharedKnotTransformer`, drawn.

        Parameters
        ----------
        ax : an Axes, or as many as there are panels; a new figure when None.
        options : of the display.

        Raises
        ------
        TypeError : for an estimator without a solution.
        """
        estimator = getattr(estimator, "regressor_", estimator)
        if not isinstance(getattr(estimator, "solution_", None), Solution):
            raise TypeError(
                f"estimator: must be fitted and have a solution_, got {type(estimator).__name__}; "
                "of a pipeline give the last step"
            )
        return cls._of_estimator(estimator, **options).plot(ax=ax)

    @classmethod
    def from_solution(cls, solution: Solution, *, ax: Any = None, **options: Any) -> Self:
        """Of a `knotwork.Solution`, drawn; arguments as in `from_estimator`."""
        if not isinstance(solution, Solution):
            raise TypeError(f"solution: must be a knotwork.Solution, got {type(solution).__name__}")
        return cls._of_solution(solution, **options).plot(ax=ax)

    @classmethod
    def _of_estimator(cls, estimator: Any, **options: Any) -> Self:
        """Where nothing more is known of an estimator than of its solution."""
        return cls._of_solution(estimator.solution_, **_with_input_name(estimator, options))

    @classmethod
    @abstractmethod
    def _of_solution(cls, solution: Solution, **options: Any) -> Self: ...

    @abstractmethod
    def plot(self, ax: Any = None) -> Self:
        """Draw on `ax`, or on a new figure."""

    def _drawn(self, figure: Figure, panels: Sequence[Axes]) -> Self:
        self.figure_ = figure
        self.ax_ = panels[0] if len(panels) == 1 else np.array(panels, dtype=object)
        return self


class KnotDisplay(Display):
    """Labels, fit and knots over the one input, a panel for each of the first 6 tasks.

    X : (N,) inputs.  Y : (N, T) labels.  network : in the units of Y.
    """

    def __init__(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        network: ReLUNetwork,
        *,
        task_names: Sequence[str] | None = None,
        input_name: str = "x",
    ) -> None:
        if network.n_inputs != 1:
            raise ValueError(f"network: has {network.n_inputs} inputs; knots are drawn over one")
        self.X = as_float_array(X, "X").reshape(-1)
        self.Y = as_float_array(Y, "Y", allow_nan=True).reshape(len(self.X), -1)
        self.network, self.input_name = network, input_name
        self.task_names = _names(task_names, network.n_tasks)

    @classmethod
    def _of_estimator(cls, estimator: Any, **options: Any) -> Self:
        problem = estimator.solution_.problem
        scaling = getattr(estimator, "scaling_", TaskScaling.none(problem.n_tasks))
        labels = problem.Y * scaling.scale + scaling.centre
        return cls(problem.X, labels, estimator.network_, **_with_input_name(estimator, options))

    @classmethod
    def _of_solution(cls, solution: Solution, **options: Any) -> Self:
        return cls(solution.problem.X, solution.problem.Y, solution.network, **options)

    def plot(self, ax: Any = None) -> Self:
        n_panels = min(self.network.n_tasks, _MOST_PANELS)
        columns = {1: 1, 2: 2, 4: 2}.get(n_panels, 3)
        rows = -(-n_panels // columns)
        figure, panels = _panels(_axes(ax), n_panels, (1.5 + 3.3 * columns, 1.2 + 2.5 * rows), columns)
        ends = np.array([self.X.min(), self.X.max()])
        location, jump = self.network.knots
        for t, panel in enumerate(panels):
            bends = location[(location > ends[0]) & (location < ends[1]) & (jump[:, t] != 0)]
            grid = _refined(np.concatenate([ends, bends]))
            seen = np.flatnonzero(~np.isnan(self.Y[:, t]))
            seen = seen[:: -(-len(seen) // _MOST_POINTS)]
            dots: dict[str, Any] = {"ls": "none", "marker": "o", "mew": 0}
            panel.plot(self.X[seen], self.Y[seen, t], color=_DATA, ms=3.4, label="labels", **dots)
            panel.plot(grid, self.network.predict(grid)[:, t], color=_FIT, lw=1.6, label="fit")
            panel.plot(bends, self.network.predict(bends)[:, t], color=_KNOT, ms=4.6, label="knots", **dots)
            _title(panel, one_line(self.task_names[t], _LONGEST_NAME))
            panel.set_xlabel(one_line(self.input_name, _LONGEST_NAME), parse_math=False)
            _frame(panel)
        _legend(figure, panels[0], ax is None)
        return self._drawn(figure, panels)


class PathDisplay(Display):
    """Knots against lam: where, how many, and which lam to take (`draw_path`).

    path : of `knotwork.path`; one input.  cross_validation : of the same data, or None.
    """

    def __init__(
        self, path: Path, cross_validation: CrossValidation | None = None, *, input_name: str = "x"
    ) -> None:
        self.path, self.cross_validation, self.input_name = path, cross_validation, input_name

    @classmethod
    def _of_estimator(cls, estimator: Any, **options: Any) -> Self:
        options = {"cross_validation": estimator.cross_validation_, **_with_input_name(estimator, options)}
        return cls._of_solution(estimator.solution_, **options)

    @classmethod
    def _of_solution(cls, solution: Solution, **options: Any) -> Self:
        _require_one_input(solution, "a path of knots")
        n_lams = options.pop("n_lams", 50)
        return cls(path(solution.problem, n_lams), **options)

    def plot(self, ax: Any = None) -> Self:
        axes = None if ax is None else _axes(ax)
        figure = draw_path(self.path, self.cross_validation, input_name=self.input_name, axes=axes)
        return self._drawn(figure, figure.axes if axes is None else axes)


class SharingDisplay(Display):
    """The share of every task in the cost of every neuron, the costliest neurons first.

    sharing : (T, K) |v_kt|^2 / |v_k|^2.  cost : (K,) what the neurons cost.
    """

    def __init__(
        self, sharing: ArrayLike, cost: ArrayLike, *, task_names: Sequence[str] | None = None
    ) -> None:
        self.sharing, self.cost = as_float_array(sharing, "sharing"), as_float_array(cost, "cost")
        if self.sharing.ndim != 2 or self.cost.shape != (self.sharing.shape[1],):
            raise ValueError(
                f"cost: must be (K,) beside sharing (T, K), got {self.cost.shape} and {self.sharing.shape}"
            )
        self.task_names = _names(task_names, len(self.sharing))

    @classmethod
    def _of_estimator(cls, estimator: Any, **options: Any) -> Self:
        return cls._of_solution(estimator.solution_, **options)

    @classmethod
    def _of_solution(cls, solution: Solution, **options: Any) -> Self:
        seen = look_at(solution.network, solution.problem)
        alive = np.setdiff1d(np.arange(len(seen.cost)), seen.dead)
        order = alive[np.argsort(-seen.cost[alive], kind="stable")]
        return cls(seen.sharing[:, order], seen.cost[order], **options)

    def plot(self, ax: Any = None) -> Self:
        n_tasks, n_neurons = self.sharing.shape
        height = 1.2 + max(1.2, 0.22 * min(n_tasks, _MOST_NAMES))
        figure, (panel,) = _panels(_axes(ax), 1, (7.5, height))
        drawn = self.sharing[:, :_MOST_COLUMNS]
        said = count(n_neurons, "neuron")
        _title(panel, said if drawn.shape[1] == n_neurons else f"the first {drawn.shape[1]} of {said}")
        if drawn.shape[1]:
            shades = LinearSegmentedColormap.from_list("share", ["#ffffff", _FIT])
            image = panel.imshow(drawn, cmap=shades, vmin=0.0, vmax=1.0, aspect="auto", interpolation="none")
            figure.colorbar(image, ax=panel, label="share of the neuron's cost", fraction=0.03)
        if n_tasks <= _MOST_NAMES:
            names = [one_line(name, _LONGEST_NAME) for name in self.task_names]
            panel.set_yticks(np.arange(n_tasks), names, parse_math=False)
        panel.set_xlabel("neuron, the costliest first")
        _frame(panel)
        return self._drawn(figure, [panel])


class SolutionSetDisplay(Display):
    """All solutions between their envelopes, a few at random, and one with the fewest knots
    (`draw_solution_set`); in the units of the problem solved.

    solution_set : of `knotwork.uniqueness`.  X, Y : the labels they fit.
    """

    def __init__(
        self,
        solution_set: SolutionSet,
        X: ArrayLike,
        Y: ArrayLike,
        *,
        task_names: Sequence[str] | None = None,
        input_name: str = "x",
        n_samples: int = 5,
        random_state: int = 0,
    ) -> None:
        self.solution_set, self.X, self.Y = solution_set, X, Y
        self.task_names, self.input_name = task_names, input_name
        self.n_samples, self.random_state = n_samples, random_state

    @classmethod
    def _of_solution(cls, solution: Solution, **options: Any) -> Self:
        _require_one_input(solution, "a set of solutions")
        verdict = uniqueness(solution)
        if verdict.solution_set is None:
            raise ValueError(f"solution: its set of solutions is not known; {verdict.reason}")
        return cls(verdict.solution_set, solution.problem.X, solution.problem.Y, **options)

    def plot(self, ax: Any = None) -> Self:
        axes = None if ax is None else _axes(ax)
        figure = draw_solution_set(
            self.solution_set,
            self.X,
            self.Y,
            task_names=self.task_names,
            input_name=self.input_name,
            n_samples=self.n_samples,
            random_state=self.random_state,
            axes=axes,
        )
        return self._drawn(figure, figure.axes if axes is None else axes)


class CertificateDisplay(Display):
    """The response of every unit neuron to the dual point, over lam: at most 1 at an optimum
    (`draw_certificate`).

    solution : of one input.
    """

    def __init__(self, solution: Solution, *, input_name: str = "x") -> None:
        _require_one_input(solution, "the certificate's curve")
        self.solution, self.input_name = solution, input_name

    @classmethod
    def _of_solution(cls, solution: Solution, **options: Any) -> Self:
        return cls(solution, **options)

    def plot(self, ax: Any = None) -> Self:
        figure = draw_certificate(self.solution, input_name=self.input_name, axes=ax)
        return self._drawn(figure, [figure.axes[0] if ax is None else ax])


def _axes(ax: Any) -> list[Axes] | None:
    return None if ax is None else list(np.ravel(np.asarray(ax, dtype=object)))


def _names(names: Sequence[str] | None, n_tasks: int) -> list[str]:
    if names is None:
        return [f"task {t}" for t in range(n_tasks)]
    if len(names) != n_tasks:
        raise ValueError(f"task_names: must be {n_tasks} names, got {len(names)}")
    return [str(name) for name in names]


def _with_input_name(estimator: Any, options: dict[str, Any]) -> dict[str, Any]:
    """`options`, and the name of the one input where the estimator saw a table."""
    names = getattr(estimator, "feature_names_in_", ())
    return {"input_name": str(names[0]), **options} if len(names) == 1 else options


def _require_one_input(solution: Solution, what: str) -> None:
    if solution.problem.n_inputs != 1:
        raise ValueError(f"solution: has {solution.problem.n_inputs} inputs; {what} is drawn over one")
