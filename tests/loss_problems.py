"""Random problems for every loss and penalty, and what a certificate must satisfy on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from references import label_weights, random_inputs
from references_losses import (
    PENALTIES,
    SPECS,
    brute_force_response,
    dense_objective,
    dual_value,
    random_labels,
    with_gaps,
)

import knotwork as kw
from knotwork.certificate.labels import Labels
from knotwork.penalty import Penalty
from knotwork.solvers.models import Knots, Neurons
from knotwork.solvers.proximal_newton import Smooth

MIXED = ["squared", "logistic", ("quantile", 0.3)]
SMOOTH_MIXED = ["squared", "logistic", ("huber", 0.4), "poisson"]
PAIRS = [(spec, penalty) for spec in SPECS for penalty in PENALTIES]


def loss_of(spec):
    """The library's loss by the name it has in references_losses."""
    if isinstance(spec, list):
        return [loss_of(one) for one in spec]
    if isinstance(spec, str):
        return spec
    return {"huber": kw.Huber, "quantile": kw.Quantile}[spec[0]](spec[1])


def name_of(spec):
    """For the ids of parametrised tests."""
    if isinstance(spec, list):
        return "+".join(name_of(one) for one in spec)
    return "-".join(str(part) for part in spec) if isinstance(spec, tuple) else str(spec)


@dataclass(frozen=True, eq=False)
class Case:
    """Plain arrays; `spec` and `penalty` as in references_losses."""

    spec: object
    penalty: tuple[bool, str]
    X: np.ndarray
    Y: np.ndarray
    lam: float
    weight: np.ndarray | None = None

    @property
    def problem(self):
        return kw.Problem(
            self.X, self.Y, self.lam, loss_of(self.spec), kw.Penalty(*self.penalty), self.weight
        )

    def objective(self, network):
        return dense_objective(self.spec, self.penalty, self.X, self.Y, self.lam, network, self.weight)


def random_case(seed, spec, penalty, n=14, lam=0.1, gaps=0.0, weights=None, n_tasks=2, spacing="random"):
    """Noisy labels around broken lines on about [-1, 2]; weights None, "rows" or "labels" (rows for
    classes), some of them 0."""
    rng = np.random.default_rng(seed)
    n_tasks = len(spec) if isinstance(spec, list) else 3 if spec == "multinomial" else n_tasks
    z = random_inputs(rng, n, spacing)
    signal = np.maximum(z[:, None] - rng.uniform(0.0, 0.8, 3), 0.0) @ (
        4.0 * rng.standard_normal((3, n_tasks))
    )
    signal += 0.5 * rng.standard_normal(n_tasks)
    Y = random_labels(rng, spec, signal)
    for t in range(n_tasks):
        if "logistic" in (spec, spec[t] if isinstance(spec, list) else None):
            # labels in turn at both ends, which no threshold separates
            ends = np.argsort(z)[[0, 1, 2, -3, -2, -1]]
            Y[ends, t] = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]
    if spec == "multinomial":
        # soft labels, which no classes separate
        Y[:6] = 0.8 * Y[:6] + 0.2 / n_tasks
    if gaps:
        Y = with_gaps(rng, spec, Y, gaps)
    weight = None
    if weights is not None:
        shape = (n,) if weights == "rows" or spec == "multinomial" else Y.shape
        weight = rng.uniform(0.3, 3.0, shape) * (rng.uniform(size=shape) > 0.1)
        # every task keeps a label
        weight[np.flatnonzero(~np.isnan(Y).any(axis=1))[:1]] = 1.0
    return Case(spec, penalty, 3.0 * z - 1.0, Y, lam, weight)


def random_network(rng, case, n_neurons=3, size=1.0):
    """Knots about the data, a skip connection where the penalty knows one."""
    T, linear = case.Y.shape[1], case.penalty[1] != "none"
    return kw.ReLUNetwork(
        rng.standard_normal((n_neurons, 1)),
        rng.standard_normal(n_neurons),
        size * rng.standard_normal((n_neurons, T)),
        size * rng.standard_normal((1, T)) * linear,
        size * rng.standard_normal(T),
    )


def assert_sound(certificate, case, best, rel=1e-10, n_grid=2001):
    """The dual point is feasible, worth at least what is said, and that is at most `best`, the
    objective of some network."""
    (biases, skip), lam = case.penalty, case.lam
    w, alpha, x = label_weights(case.Y, case.weight), certificate.dual_point, case.X
    assert np.isfinite(certificate.dual)
    assert certificate.gap >= 0.0
    assert certificate.dual <= best * (1.0 + rel)
    assert alpha.shape == case.Y.shape
    assert np.all(alpha[w == 0.0] == 0.0)
    assert brute_force_response(x, alpha, biases, n_grid) <= lam * (1.0 + 1e-9)
    # a dual point of pure rounding has sums of its own size
    size = np.abs(alpha).sum(axis=0) + 1e-12 * lam
    if not biases:
        assert np.all(np.abs(alpha.sum(axis=0)) <= 1e-10 * size)
    if skip == "free":
        assert np.all(np.abs((x - x.mean()) @ alpha) <= 1e-10 * size * max(np.ptp(x), 1e-300))
    if skip == "nuclear":
        assert np.linalg.norm(x @ alpha) <= lam * (1.0 + 1e-9)
    worth = dual_value(case.spec, case.penalty, x, case.Y, lam, alpha, case.weight)
    assert certificate.dual <= worth + rel * best


def smooth_of(case):
    """The problem as proximal Newton sees it."""
    labels = Labels.of(case.problem)
    return Smooth(labels.X, labels.y, labels.w, labels.loss, case.lam, Penalty(*case.penalty))


def inner_of(case, out_of_time=lambda: False):
    """The solver of the squared problems of this penalty."""
    if case.penalty == (False, "free"):
        return Knots(case.lam, out_of_time)
    return Neurons(case.lam, Penalty(*case.penalty), out_of_time)


def few_neurons(case):
    """Three neurons that all see some of the data."""
    T = case.Y.shape[1]
    V = 0.5 * np.random.default_rng(0).standard_normal((3, T))
    A = np.linspace(-0.3, 0.3, T)[None] * (case.penalty[1] != "none")
    return kw.ReLUNetwork([[1.0], [-1.0], [1.0]], [0.5, 0.7, -0.6], V, A, np.zeros(T))
