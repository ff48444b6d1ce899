"""How sure a fit is: its knots and predictions under labels drawn anew."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .._validate import as_count, as_generator, read_only
from ..network import ReLUNetwork
from ..solution import Solution, Status
from ..solvers.solve import solve
from ..solvers.watch import Watch
from .bootstrap_result import Bootstrap, Scheme
from .calls import whole_call
from .features import require_features
from .refit import refit as least_squares_on_knots
from .resampling import Resampling, residual_inflation

Progress = Callable[[int, int], bool | None]
Replicate = tuple[ReLUNetwork, float]

SCHEMES = ("residual", "block")


def bootstrap(
    solution: Solution,
    *,
    replicates: int = 200,
    scheme: Scheme = "residual",
    block: int | None = None,
    refit: bool = False,
    tol: float = 1e-6,
    random_state: int | np.random.Generator | None = 0,
    n_jobs: int | None = None,
    max_seconds: float | None = None,
    progress: Progress | None = None,
) -> Bootstrap:
    """How the fit would have come out with other errors: solved anew on labels

        y*_it = f_t(x_i) + e*_it / sqrt(w_it),    e* drawn from s_t (sqrt(w_it) (y_it - f_t(x_i)) - m_t),

    with replacement. m_t is the mean over the labels of task t: residuals are centred. s_t =
    sqrt(n_t / (n_t - df_t)) makes up for what the fit has taken from them. All tasks of a row take their
    residuals from one other row, so that errors that tasks have in common stay so. Missing labels stay
    missing; what the other row has no label of comes from further rows, so that common errors count for less
    the more labels are missing. Errors are taken to be alike over the inputs, but for weights, which are one
    over variances.

    lam is that of `solution` throughout. Where the labels chose it, intervals do not include what that
    adds. Nor does s_t of a refit count the search for its knots.

    Parameters
    ----------
    solution : of `solve`, `path` or `cross_validate`: one input, squared loss, free biases and skip, lam > 0.
    replicates : B, at least 2; 200 do for intervals of 90 %, 1000 for 99 %.
    scheme : "residual" draws rows one by one, for independent errors. "block" draws `block` consecutive
        rows at a time (by input, the last followed by the first), for errors of neighbours that are alike,
        as in a time series.
    block : rows; N^(1/3) of the N labelled rows, rounded up, when None.
    refit : what is bootstrapped is `knotwork.refit` of the solution, least squares on its knots: residuals
        are of that, and every replicate chooses its knots anew and is refitted.
    tol : the relative gap of every replicate. Each starts from the solution's knots.
    random_state : the seed; replicate b does not depend on how many there are.
    n_jobs : as in joblib.Parallel, over the replicates; the result does not depend on it.
    max_seconds : no replicate is begun or finished after them; those before the first that was not are
        reported, with a notice.
    progress : called in this process after every replicate with how many are done, of how many; returning
        True stops as `max_seconds` does.

    Returns
    -------
    Bootstrap : its `band`, `bends` and `density` take the level of the intervals.

    Raises
    ------
    TypeError, ValueError : naming the argument; where fewer than 2 replicates were done in time.
    NotImplementedError : for other losses and penalties.
    """
    began = time.monotonic()
    _check_solution(solution)
    _check_options(replicates, scheme, block, tol, max_seconds, progress)
    rng = as_generator(random_state, "random_state")
    problem = solution.problem
    network = least_squares_on_knots(solution).network if refit else solution.network
    inflation = residual_inflation(solution, refit)
    labelled = int(np.count_nonzero((problem.label_weight() > 0).any(axis=1)))
    length = 1
    if scheme == "block":
        length = min(block or math.ceil(labelled ** (1 / 3)), labelled)
    resampling = Resampling.around(network, problem, inflation, length)
    deadline = None if max_seconds is None else time.time() + max_seconds
    work = partial(_replicate, resampling, solution.network, refit, tol, deadline)
    done = _run(work, rng.spawn(replicates), n_jobs, progress)
    if len(done) < 2:
        raise ValueError(
            f"max_seconds: {len(done)} of {replicates} replicates were done before the stop, and an interval "
            "needs 2; give more seconds or n_jobs"
        )
    notices = []
    if len(done) < replicates:
        notices.append(f"stopped early: {len(done)} of {replicates} replicates were done")
    networks, gaps = zip(*done, strict=True)
    return Bootstrap(
        solution,
        network,
        networks,
        read_only(np.array(gaps)),
        scheme,
        length,
        refit,
        read_only(inflation),
        time.monotonic() - began,
        tuple(notices),
    )


def _replicate(
    resampling: Resampling,
    start: ReLUNetwork,
    refit: bool,
    tol: float,
    deadline: float | None,
    rng: np.random.Generator,
) -> Replicate | None:
    """One replicate, wherever joblib runs it: its network and gap; None where its time ran out."""
    left = None if deadline is None else deadline - time.time()
    if left is not None and left <= 0:
        return None
    found = solve(resampling.draw(rng), tol=tol, start=start, max_seconds=left)
    if found.status is Status.MAX_SECONDS:
        return None
    network = least_squares_on_knots(found).network if refit else found.network
    return network, found.certificate.relative_gap


def _run(
    work: Callable[[np.random.Generator], Replicate | None],
    generators: list[np.random.Generator],
    n_jobs: int | None,
    progress: Progress | None,
) -> list[Replicate]:
    """The replicates before the first that was not finished, in order."""
    from joblib import Parallel

    done: list[Replicate] = []
    results: Any = Parallel(n_jobs=n_jobs, return_as="generator")(whole_call(work, rng) for rng in generators)
    for replicate in results:
        if replicate is not None:
            done.append(replicate)
        stop = progress is not None and progress(len(done), len(generators)) is True
        if replicate is None or stop:
            results.close()
            break
    return done


def _check_solution(solution: Solution) -> None:
    if not isinstance(solution, Solution):
        raise TypeError(f"solution: must be a knotwork.Solution, got {type(solution).__name__}")
    problem = solution.problem
    require_features(problem, "bootstrap")
    if problem.lam == 0:
        raise ValueError(
            "solution: interpolates its labels (lam = 0), which leaves no residuals to draw from; solve at "
            "lam > 0"
        )


def _check_options(
    replicates: int,
    scheme: str,
    block: int | None,
    tol: float,
    max_seconds: float | None,
    progress: Progress | None,
) -> None:
    if as_count(replicates, "replicates") < 2:
        raise ValueError(f"replicates: must be an integer >= 2, got {replicates!r}")
    if scheme not in SCHEMES:
        raise ValueError(f"scheme: must be 'residual' or 'block', got {scheme!r}")
    if block is not None:
        if scheme != "block":
            raise ValueError(
                f"block: has a meaning under scheme='block' only, got {block!r} beside {scheme!r}"
            )
        if as_count(block, "block") < 1:
            raise ValueError(f"block: must be an integer >= 1, got {block!r}")
    Watch(tol, None, max_seconds, None)
    if progress is not None and not callable(progress):
        raise TypeError(f"progress: must be a function of two numbers, got {progress!r}")
