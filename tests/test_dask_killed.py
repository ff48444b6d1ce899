"""Work on a Dask cluster, one of whose two workers is killed in the middle: results equal to serial."""

from __future__ import annotations

import numpy as np
import pytest
from joblib import Parallel, delayed

pytest.importorskip("dask.distributed")
from dask_killer import killing_cluster

import knotwork as kw
from knotwork.experiments.catalogue import chosen
from knotwork.experiments.experiment import Plan
from knotwork.experiments.running import run
from knotwork.selection.bootstrap import bootstrap


def problem(n=400):
    rng = np.random.default_rng(0)
    x = rng.uniform(size=n)
    Y = np.abs(x - 0.5)[:, None] * [1.0, -2.0] + 0.1 * rng.standard_normal((n, 2))
    Y[rng.uniform(size=Y.shape) < 0.1] = np.nan
    return kw.Problem(x, Y, 1.0)


def assert_killed_in_the_middle(killer):
    """A worker died with tasks under way, and they were done by another."""
    assert killer.victim is not None
    assert killer.lost
    assert killer.repeated == killer.lost


def assert_same(one, other):
    for part in ("W", "b", "V", "A", "c"):
        np.testing.assert_array_equal(getattr(one, part), getattr(other, part))


def test_cross_validation():
    alone = kw.cross_validate(problem(), 8, n_lams=40)
    with killing_cluster() as killer:
        spread = kw.cross_validate(problem(), 8, n_lams=40)
    assert_killed_in_the_middle(killer)
    np.testing.assert_array_equal(spread.fold_losses, alone.fold_losses)
    assert spread.lam == alone.lam
    assert_same(spread.solution.network, alone.solution.network)


def test_bootstrap():
    solution = kw.solve(problem())
    alone = bootstrap(solution, replicates=20)
    with killing_cluster() as killer:
        spread = bootstrap(solution, replicates=20)
    assert_killed_in_the_middle(killer)
    assert spread.n_replicates == 20
    for one, other in zip(spread.networks, alone.networks, strict=True):
        assert_same(one, other)


def test_a_comparison():
    data = problem(1200)
    options = {"lam": 1.0, "folds": 4, "repeats": 2, "methods": ()}
    alone = kw.compare(data.X, data.Y, **options)
    with killing_cluster() as killer:
        spread = kw.compare(data.X, data.Y, **options)
    assert_killed_in_the_middle(killer)
    np.testing.assert_array_equal(spread.errors, alone.errors)


def trained(problem, seed, learning_rate):
    """One training of a sweep."""
    return kw.train.adam(problem, 10, seeds=[seed], steps=300, learning_rate=learning_rate, certify=False)[
        0
    ].network


def test_a_sweep_of_trainings():
    sweep = [(seed, rate) for seed in range(3) for rate in (1e-2, 3e-2)]
    alone = [trained(problem(), *one) for one in sweep]
    with killing_cluster(after=1) as killer:
        spread = list(Parallel()(delayed(trained)(problem(), *one) for one in sweep))
    assert_killed_in_the_middle(killer)
    for one, other in zip(spread, alone, strict=True):
        assert_same(one, other)


def test_a_reproduction(tmp_path):
    experiments, plan = chosen(["b-figures-1-6", "b-kernels"]), Plan(quick=True)
    alone = run(experiments, tmp_path / "alone", plan=plan)
    with killing_cluster() as killer:
        spread = run(experiments, tmp_path / "spread", plan=plan)
    assert_killed_in_the_middle(killer)
    digests = [
        {record.key: record.digest for one in found for record in one.records} for found in (spread, alone)
    ]
    assert digests[0] == digests[1]
    assert [claim.values for one in spread for claim in one.claims] == [
        claim.values for one in alone for claim in one.claims
    ]
