"""Conic oracles for the cost of a univariate function (CVXPY with Clarabel).

A function is given by its bends: places (J,), jumps of slope (J, T), and the affine function
(2, T), intercept and slope, that it is to the left of them all.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import cvxpy as cp
import numpy as np
from references import second_differences

CLARABEL = {"tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10, "max_iter": 200}


class Bent(NamedTuple):
    """f(x) = affine_0 + affine_1 x + sum_j jump_j (x - place_j)_+."""

    place: np.ndarray
    jump: np.ndarray
    affine: np.ndarray

    def at(self, x):
        x = np.asarray(x, dtype=float)
        right = np.maximum(x[:, None] - self.place[None, :], 0.0)
        return self.affine[0] + np.outer(x, self.affine[1]) + right @ self.jump


def bent(network):
    """The function of a univariate network, neuron by neuron; those of one place are one bend."""
    places, jumps = [], []
    affine = np.vstack([network.c, network.A[0]]).astype(float)
    for w, b, v in zip(network.W[:, 0], network.b, network.V, strict=True):
        if w == 0:
            affine[0] += max(b, 0.0) * v
            continue
        places.append(-b / w)
        jumps.append(abs(w) * v)
        if w < 0:
            affine += np.outer([b, w], v)
    where, which = np.unique(places, return_inverse=True)
    jump = np.zeros((len(where), network.n_tasks))
    for j, one in zip(which, jumps, strict=True):
        jump[j] += one
    return Bent(where, jump, affine)


def _value(objective, constraints):
    problem = cp.Problem(cp.Minimize(objective), constraints)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem.solve(solver=cp.CLARABEL, **CLARABEL)
    return float(problem.value)


def conic_cost_of_neurons(f, biases, skip, places):
    """The least cost of a network with neurons of both facings at the bends of f and at `places`.

    Nothing of the theory enters: unknown are the output weights, the constraint is that network
    and f are equal at every place and on both sides of all of them, where both are linear.
    """
    where = np.unique(np.concatenate([f.place, places]))
    x = np.concatenate([[where[0] - 1.0], where, [where[-1] + 1.0]])
    hidden = [np.maximum(x[:, None] - where, 0.0), np.maximum(where - x[:, None], 0.0)]
    price = np.hypot(1.0, where) if biases else np.ones(len(where))
    price = np.concatenate([price, price])
    if biases:
        hidden.append(np.ones((len(x), 1)))
        price = np.append(price, 1.0)
    hidden = np.hstack(hidden)
    T = f.affine.shape[1]
    V, A, c = cp.Variable((len(price), T)), cp.Variable((1, T)), cp.Variable((1, T))
    cost = price @ cp.norm(V, 2, axis=1)
    if biases:
        cost = cost + 0.5 * cp.sum_squares(c)
    if skip == "frobenius":
        cost = cost + 0.5 * cp.sum_squares(A)
    if skip == "nuclear":
        cost = cost + cp.norm(A, 2)
    # two piecewise linear functions with these places are equal where the first value, the first
    # slope and all changes of slope are: rows that a conic solver can tell apart
    apart = np.vstack([np.eye(len(x))[:1], np.diff(np.eye(len(x))[:2], axis=0), second_differences(x)])
    parts = [apart @ hidden, apart @ x[:, None], apart @ np.ones((len(x), 1))]
    fitted = parts[0] @ V + parts[1] @ A + parts[2] @ c
    equal = [fitted == apart @ f.at(x)] + ([A == 0] if skip == "none" else [])
    return _value(cost, equal)


def conic_cost_of_splits(f, biases, skip):
    """The same least cost with affine pairs anywhere, by the nuclear norm of what they make."""
    J, T = f.jump.shape
    L, B = cp.Variable((max(J, 1), T)), cp.Variable((2, T))
    v, c, A = cp.Variable((1, T)), cp.Variable((1, T)), cp.Variable((1, T))
    price = (np.hypot(1.0, f.place) if biases else np.ones(J)) if J else np.zeros(1)
    jump = f.jump if J else np.zeros((1, T))
    turn = np.column_stack([f.place, -np.ones(J)]) if J else np.zeros((1, 2))
    neurons = price @ cp.norm(jump - L, 2, axis=1) + price @ cp.norm(L, 2, axis=1)
    made = turn.T @ L + B + cp.vstack([v + c, A])
    wanted = made == f.affine
    if biases:
        cost = neurons + 2.0 * cp.normNuc(B) + cp.norm(v, 2) + 0.5 * cp.sum_squares(c)
        if skip == "frobenius":
            cost = cost + 0.5 * cp.sum_squares(A)
        elif skip == "nuclear":
            cost = cost + cp.norm(A, 2)
        return _value(cost, [wanted] + ([A == 0] if skip == "none" else []))
    if skip == "free":
        return _value(neurons, [wanted])
    cost = neurons + 2.0 * cp.norm(B[1], 2)
    return _value(cost, [wanted, A == 0])
