"""The proximal map of the path norm, by brute force."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

import knotwork as kw
from knotwork.train._jax import precision
from knotwork.train._model import Model
from knotwork.train._proximal import prox, prox_product

norm = st.floats(0.0, 3.0)
size = st.floats(1e-3, 10.0)
shares = jax.jit(prox_product)


@settings(max_examples=200)
@given(norm, norm, size, size, st.floats(1e-3, 3.0))
def test_no_pair_of_norms_is_better(a, b, s, t, lam):
    def value(q, r):
        return (q - a) ** 2 / (2 * s) + (r - b) ** 2 / (2 * t) + lam * q * r

    with precision("float64"):
        share_a, share_b = (float(share) for share in shares(a, b, s, t, lam))
    assert share_a >= 0.0
    assert share_b >= 0.0
    q, r = np.meshgrid(np.linspace(0.0, a, 401), np.linspace(0.0, b, 401), indexing="ij")
    found = value(a * share_a, b * share_b)
    assert found <= value(q, r).min() + 1e-12 * (1.0 + found)


def test_the_smaller_norm_becomes_exactly_zero():
    with precision("float64"):
        # |v| = 0.2 is at most s lam |w| = 0.25
        assert [float(share) for share in shares(1.0, 0.2, 0.5, 0.5, 0.5)] == [1.0, 0.0]
        assert [float(share) for share in shares(0.2, 1.0, 0.5, 0.5, 0.5)] == [0.0, 1.0]
        kept = shares(1.0, 0.3, 0.5, 0.5, 0.5)
    # (a - .25 b)/(1 - .0625), (b - .25 a)/(1 - .0625)
    np.testing.assert_allclose(kept, [0.925 / 0.9375, 0.05 / 0.9375 / 0.3], rtol=1e-12)


@pytest.mark.parametrize("penalty", [(False, "free"), (True, "none"), (True, "frobenius"), (True, "nuclear")])
def test_no_parameters_are_better(penalty):
    rng = np.random.default_rng(0)
    shapes = {"W": (2, 2), "b": (2,), "V": (2, 3), "c": (3,)}
    shapes |= {"L": (2, 2), "S": (2, 3)} if penalty[1] == "nuclear" else {}
    shapes |= {"A": (2, 3)} if penalty[1] in ("free", "frobenius") else {}
    model, lam = Model(kw.Problem([0.0], [0.0], 1.0).loss_function, kw.Penalty(*penalty)), 0.4
    p = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    group = {name: rng.uniform(0.1, 0.8, (2, 1)) for name in ("W", "V", "L", "S")}
    size = {name: group.get(name, np.full((1,) * part.ndim, 0.5)) for name, part in p.items()}
    if penalty[0]:
        size["b"] = size["W"][:, 0]
    ends = np.cumsum([part.size for part in p.values()])[:-1]

    def unpack(flat):
        parts = np.split(flat, ends)
        return {name: part.reshape(shapes[name]) for name, part in zip(p, parts, strict=True)}

    def cost(q):
        ins = np.column_stack([q["W"], q["b"]]) if penalty[0] else q["W"]
        total = float(np.linalg.norm(ins, axis=1) @ np.linalg.norm(q["V"], axis=1))
        if penalty[0]:
            total += 0.5 * float(q["c"] @ q["c"])
        if penalty[1] == "frobenius":
            total += 0.5 * float(np.sum(q["A"] ** 2))
        if penalty[1] == "nuclear":
            total += float(np.linalg.norm(q["L"], axis=1) @ np.linalg.norm(q["S"], axis=1))
        return total

    def value(flat):
        q = unpack(flat)
        near = sum(float(np.sum((q[name] - p[name]) ** 2 / (2 * size[name]))) for name in p)
        return near + lam * cost(q)

    with precision("float64"):
        flat = np.concatenate([np.asarray(part).ravel() for part in prox(model, p, size, lam).values()])
    found = value(flat)
    start = np.concatenate([part.ravel() for part in p.values()])
    for _ in range(5):
        other = minimize(value, start + 0.5 * rng.standard_normal(start.shape), options={"gtol": 1e-8})
        assert found <= other.fun + 1e-9
    # two-sided: what is told is told of the parameters' own order
    assert found == pytest.approx(minimize(value, flat, options={"gtol": 1e-8}).fun, abs=1e-9)
    assert found < value(start) - 0.1
