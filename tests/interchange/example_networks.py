"""Networks to send out and back, and f computed from its formula."""

from __future__ import annotations

import numpy as np

import knotwork as kw

# (d, K, T), among them no neuron, one of each, as many inputs as tasks and as neurons
SIZES = [(1, 0, 1), (1, 1, 1), (3, 0, 2), (1, 7, 2), (3, 5, 2), (4, 4, 4), (2, 300, 3)]


def network(d=3, K=5, T=2, skip=True, seed=0):
    rng = np.random.default_rng(seed)
    return kw.ReLUNetwork(
        rng.standard_normal((K, d)),
        rng.standard_normal(K),
        rng.standard_normal((K, T)),
        rng.standard_normal((d, T)) if skip else np.zeros((d, T)),
        rng.standard_normal(T),
    )


def inputs(d=3, n=50, seed=1):
    return 3.0 * np.random.default_rng(seed).standard_normal((n, d))


def formula(net, X):
    return np.maximum(X @ net.W.T + net.b, 0.0) @ net.V + X @ net.A + net.c


def same_arrays(one, other):
    for name in ("W", "b", "V", "A", "c"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def assert_predicts(given, expected, tolerance=1e-12):
    """Equal to `tolerance` of the largest expected value."""
    given, expected = np.asarray(given, dtype=float), np.asarray(expected, dtype=float)
    assert given.shape == expected.shape
    assert np.abs(given - expected).max() <= tolerance * max(1.0, np.abs(expected).max())
