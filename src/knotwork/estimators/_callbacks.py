"""scikit-learn's callbacks (of version 1.9), where it has them; nothing elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..solution import TraceEntry
from ..solvers.watch import Progress

if TYPE_CHECKING:

    class CallbackSupport:
        def set_callbacks(self, *callbacks: Any) -> Any: ...

    def with_callbacks(method: Any) -> Any: ...

else:
    try:
        from sklearn.callback import CallbackSupportMixin as CallbackSupport
        from sklearn.callback import with_callbacks
    except ImportError:

        class CallbackSupport:
            """Without callbacks."""

        def with_callbacks(method):
            """The method as it is."""
            return method


def watched(estimator: Any, X: Any, y: Any) -> tuple[Progress | None, Callable[[], object]]:
    """What to call every round, and at the end of a fit: a subtask of the fit for each round of a solver
    that runs in this process. A callback that returns True stops the solver."""
    if not getattr(estimator, "_skl_callbacks", None):
        return None, lambda: None
    context = estimator._init_callback_context(max_subtasks=None)
    context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)

    def round_done(entry: TraceEntry) -> bool:
        of_round = context.subcontext(task_name="round")
        of_round.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
        metadata = {"objective": entry.objective, "gap": entry.gap, "n_knots": entry.n_knots}
        return of_round.call_on_fit_task_end(estimator=estimator, X=X, y=y, metadata=metadata)

    return round_done, lambda: context.call_on_fit_task_end(estimator=estimator, X=X, y=y)
