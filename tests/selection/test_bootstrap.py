from __future__ import annotations

import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from joblib import parallel_config
from scipy.stats import chi, norm

import knotwork as kw
from knotwork.selection.bootstrap import bootstrap
from knotwork.selection.bootstrap_result import Bootstrap
from knotwork.selection.resampling import Resampling, residual_inflation


def kinked(n=60, n_tasks=2, noise=0.1, gaps=0.0, seed=0):
    """Tasks that bend at .4 by 4 and -3, 4, ... on inputs in no order."""
    rng = np.random.default_rng(seed)
    x = rng.permutation(np.linspace(0.0, 1.0, n))
    Y = np.maximum(x - 0.4, 0.0)[:, None] * np.resize([4.0, -3.0], n_tasks) + x[:, None]
    Y = Y + noise * rng.standard_normal(Y.shape)
    Y[rng.uniform(size=Y.shape) < gaps] = np.nan
    return x, Y


def solved(ratio=0.05, weight=None, **options):
    x, Y = kinked(**options)
    problem = kw.Problem(x, Y, 1.0, sample_weight=weight)
    return kw.solve(problem.with_lam(ratio * kw.lam_max(problem)))


def same(one, other):
    return all(
        np.array_equal(getattr(a, part), getattr(b, part))
        for a, b in zip(one, other, strict=True)
        for part in ("W", "b", "V", "A", "c")
    )


# ---------------------------------------------------------------------------------- the labels drawn


def drawn(solution, block=1, seed=0, inflation=None):
    """Resampling about a solution, and the standardised residuals of one draw."""
    problem = solution.problem
    inflation = np.ones(problem.n_tasks) if inflation is None else inflation
    resampling = Resampling.around(solution.network, problem, inflation, block)
    new = resampling.draw(np.random.default_rng(seed))
    f = solution.network.predict(problem.X)
    return resampling, new, np.sqrt(problem.label_weight()) * (new.Y - f)


def donors_of(resampling, e):
    """(n, T) the row whose residual each label has; -1 where there is none."""
    known = resampling.residuals
    found = np.full(e.shape, -1)
    for i, t in np.argwhere(~np.isnan(e)):
        off = np.abs(known[:, t] - e[i, t])
        found[i, t] = int(np.nanargmin(off))
        assert off[found[i, t]] < 1e-10
    return found


def test_all_tasks_of_a_row_take_the_residuals_of_one_row():
    resampling, new, e = drawn(solved(n_tasks=3))
    donors = donors_of(resampling, e)
    np.testing.assert_array_equal(donors, donors[:, :1].repeat(3, axis=1))
    assert 20 < len(np.unique(donors)) < 50
    assert new.lam == resampling.problem.lam
    _, other, _ = drawn(solved(n_tasks=3), seed=1)
    assert not np.array_equal(new.Y, other.Y)


def test_residuals_are_centred_and_enlarged():
    solution = solved()
    problem = solution.problem
    raw = problem.Y - solution.network.predict(problem.X)
    resampling, _, _ = drawn(solution, inflation=np.array([2.0, 3.0]))
    np.testing.assert_allclose(resampling.residuals, [2.0, 3.0] * (raw - raw.mean(axis=0)), atol=1e-14)


@pytest.mark.parametrize("block", [1, 4, 60])
def test_blocks_are_of_consecutive_inputs(block):
    solution = solved()
    resampling, _, e = drawn(solution, block)
    rank = np.argsort(np.argsort(solution.problem.X[:, 0]))
    donors = rank[donors_of(resampling, e)[:, 0]][np.argsort(rank)]
    follows = (np.diff(donors) % 60) == 1
    inside = np.arange(1, 60) % block != 0
    assert follows[inside].all()
    if block < 60:
        assert follows[~inside].mean() < 0.3


@pytest.mark.parametrize("block", [1, 5])
@pytest.mark.parametrize("gaps", [0.3, 0.9])
def test_missing_labels_stay_missing_and_the_others_are_drawn_from_their_task(gaps, block):
    solution = solved(n=80, n_tasks=3, gaps=gaps)
    seen = ~np.isnan(solution.problem.Y)
    resampling, new, e = drawn(solution, block)
    np.testing.assert_array_equal(~np.isnan(new.Y), seen)
    donors = donors_of(resampling, e)
    for t in range(3):
        assert seen[donors[seen[:, t], t], t].all()
    both = seen[:, 0] & seen[:, 1]
    if gaps == 0.3:
        # rows with both labels: mostly from one donor, and not from any donor
        assert 0.4 < (donors[both, 0] == donors[both, 1]).mean() < 1.0


def test_series_on_inputs_of_their_own_are_drawn_too():
    x, Y = kinked(n=60)
    Y[np.arange(60) % 2 == 0, 0] = np.nan
    Y[np.arange(60) % 2 == 1, 1] = np.nan
    problem = kw.Problem(x, Y, 0.2)
    _, new, e = drawn(kw.solve(problem))
    assert not np.isnan(new.Y[~np.isnan(Y)]).any()
    assert len(np.unique(e[~np.isnan(e)])) > 20


def test_weights_are_one_over_variances():
    weight = np.where(np.arange(60) % 2 == 0, 100.0, 1.0)
    weight[7] = 0.0
    solution = solved(weight=weight)
    resampling, new, e = drawn(solution)
    donors = donors_of(resampling, np.where(weight[:, None] > 0, e, np.nan))
    assert 7 not in donors
    f = solution.network.predict(solution.problem.X)
    i = int(np.flatnonzero((weight == 100.0) & (weight[donors[:, 0]] == 1.0))[0])
    own = resampling.residuals[donors[i, 0], 0]
    assert new.Y[i, 0] - f[i, 0] == pytest.approx(own / 10.0)
    np.testing.assert_array_equal(new.Y[7], solution.problem.Y[7])
    np.testing.assert_array_equal(new.sample_weight, weight)


def test_inflation_counts_degrees_of_freedom():
    solution = solved(n_tasks=2)
    problem = solution.problem
    path = kw.path(problem, lams=[problem.lam], tol=1e-8)
    assert path.df is not None
    df = float(path.df[0]) / 2
    assert 2.0 < df < 2.0 + solution.network.n_neurons
    np.testing.assert_allclose(residual_inflation(solution, False), np.sqrt(60 / (60 - df)), rtol=1e-4)
    df = kw.refit(solution).df / 2
    np.testing.assert_allclose(residual_inflation(solution, True), np.sqrt(60 / (60 - df)))


def test_every_task_is_enlarged_by_its_own_labels():
    x, Y = kinked()
    Y[10:, 1] = np.nan
    solution = kw.solve(kw.Problem(x, Y, 1e3))
    np.testing.assert_allclose(residual_inflation(solution, False), np.sqrt([60 / 58, 10 / 8]))


# ------------------------------------------------------------------------------------ closed forms


@pytest.mark.parametrize("weighted", [False, True])
def test_without_knots_the_spread_is_that_of_a_regression_line(weighted):
    weight = np.resize([1.0, 4.0, 9.0], 60) if weighted else np.ones(60)
    solution = solved(ratio=100.0, weight=weight)
    assert solution.network.n_neurons == 0
    found = bootstrap(solution, replicates=400)
    problem = solution.problem
    G = np.column_stack([np.ones(60), problem.X[:, 0]])
    covariance = np.linalg.inv(G.T @ (weight[:, None] * G))
    raw = np.sqrt(weight)[:, None] * (problem.Y - solution.network.predict(problem.X))
    variance = np.sum((raw - raw.mean(axis=0)) ** 2, axis=0) / 58
    x = np.array([0.0, 0.5, 1.2])
    at = np.column_stack([np.ones(3), x])
    sd = np.sqrt(np.einsum("nk,kl,nl->n", at, covariance, at)[:, None] * variance)
    values = np.stack([network.predict(x) for network in found.networks])
    np.testing.assert_allclose(values.std(axis=0), sd, rtol=0.12)
    np.testing.assert_allclose(values.mean(axis=0), found.network.predict(x), atol=0.2 * sd.max())
    band = found.band(x, level=0.8)
    np.testing.assert_allclose(band.high - band.low, 2.0 * norm.ppf(0.9) * sd, rtol=0.15)
    # Working and Hotelling: over all x the largest deviation is a chi of two degrees of freedom
    wide = found.band(0.5 + 0.3 * np.tan(np.linspace(-1.55, 1.55, 201)), level=0.8, simultaneous=True)
    values = np.stack([network.predict(wide.x) for network in found.networks])
    width = 0.5 * (wide.high - wide.low) / values.std(axis=0, ddof=1)
    np.testing.assert_allclose(width, chi.ppf(0.8, 2), rtol=0.1)


@pytest.mark.parametrize("block", [1, 4, 20])
def test_blocks_keep_what_neighbours_share(block):
    rng = np.random.default_rng(0)
    x = np.linspace(0.0, 1.0, 200)
    drift = np.convolve(rng.standard_normal(209), np.ones(10) / np.sqrt(10), "valid")
    found = bootstrap(kw.solve(kw.Problem(x, drift, 1e6)), replicates=500, scheme="block", block=block)
    e = found.inflation * (drift[:, None] - found.network.predict(x))
    # the mean of blocks of a circle: its variance is that of the sum of a block, over the number of blocks
    doubled = np.concatenate([e, e])[:, 0]
    sums = np.array([doubled[i : i + block].sum() for i in range(200)])
    sd = np.sqrt(np.mean(sums**2) * (200 / block)) / 200
    values = [network.predict([0.5])[0, 0] for network in found.networks]
    np.testing.assert_allclose(np.std(values), sd, rtol=0.1)


def test_blocks_are_as_long_as_the_cube_root_of_the_labelled_rows():
    x, Y = kinked(n=70)
    Y[:5] = np.nan
    solution = kw.solve(kw.Problem(x, Y, 1.0))
    assert bootstrap(solution, replicates=2, scheme="block").block == 5
    assert bootstrap(solution, replicates=2, scheme="block", block=999).block == 65
    assert bootstrap(solution, replicates=2).block == 1


def test_errors_that_tasks_share_stay_shared():
    x, Y = kinked(n_tasks=1)
    problem = kw.Problem(x, Y * [1.0, -2.0], 0.5)
    found = bootstrap(kw.solve(problem), replicates=5, tol=1e-10)
    for network in found.networks:
        f = network.predict(x)
        np.testing.assert_allclose(f[:, 1], -2.0 * f[:, 0], atol=1e-6)


# ------------------------------------------------------------------------------------ what is found


def test_a_clear_bend_comes_back_where_it_is():
    found = bootstrap(solved(noise=0.05), refit=True)
    (main,) = found.bends()
    assert main.share == 1.0
    assert main.place_low <= 0.4 <= main.place_high
    assert 0.0 < main.place_high - main.place_low < 0.1
    assert main.strength_low <= 5.0 <= main.strength_high
    assert main.strength == pytest.approx(5.0, rel=0.2)
    (shrunk,) = bootstrap(solved(noise=0.05)).bends()
    assert shrunk.strength_high < 5.0
    at = found.density()
    assert at.distance == pytest.approx(0.01)
    assert abs(at.x[np.argmax(at.density)] - 0.4) < 0.05
    assert at.share[np.abs(at.x - 0.4).argmin()] > 0.5
    assert at.share[0] == at.density[0] == 0.0


def by_hand(fit, *replicates):
    """A bootstrap of networks that are given as {knot: jump} of one task, on the inputs 0, 1, ..., 20."""

    def network(knots):
        place = np.array(list(knots), dtype=float)
        jump = np.array(list(knots.values()), dtype=float)[:, None]
        return kw.ReLUNetwork(np.ones((len(place), 1)), -place, jump)

    problem = kw.Problem(np.arange(21.0), np.arange(21.0) ** 2, 1.0)
    solution = replace(kw.solve(problem), network=network(fit))
    networks = tuple(network(one) for one in replicates)
    gaps = np.zeros(len(networks))
    return Bootstrap(solution, solution.network, networks, gaps, "residual", 1, False, np.ones(1), 0.0)


def test_bends_by_hand():
    # 5 and 6 bend one way and are one bend at 5.75; 12 and 13 do not
    found = by_hand(
        {5: 1.0, 6: 3.0, 12: 2.0, 13: -2.0},
        {4: 1.0, 7: 1.0, 12: 1.0},
        {6: 2.0, 9: 5.0, 13: -1.0},
        {1: 1.0, 12: 4.0, 19: 7.0},
        {5: 2.0, 6: -2.0, 12: 1.0, 13: -1.0},
    )
    one, two, three = found.bends(level=0.5, distance=2.0)
    assert [bend.place for bend in (one, two, three)] == [5.75, 12.0, 13.0]
    assert [bend.strength for bend in (one, two, three)] == [4.0, 2.0, 2.0]
    assert [bend.share for bend in (one, two, three)] == [0.75, 0.75, 0.5]
    # places 5.5, 6, 5.5 and strengths 2, 2, 0, 0
    assert (one.place_low, one.place_high) == tuple(np.quantile([5.5, 6.0, 5.5], [0.25, 0.75]))
    assert (one.strength_low, one.strength_high) == (0.0, 2.0)
    assert (two.place_low, two.place_high) == (12.0, 12.0)
    assert (two.strength_low, two.strength_high) == tuple(np.quantile([1.0, 0.0, 4.0, 1.0], [0.25, 0.75]))
    assert (three.place_low, three.strength_high) == (13.0, 1.0)
    wide = found.bends(distance=20.0)
    # 9 is nearer to 12 than to 6 (they part at 9, which is the left one's), 19 belongs to 13
    assert [bend.share for bend in wide] == [1.0, 0.75, 0.75]
    near = found.bends(distance=0.1)
    assert [bend.share for bend in near] == [0.5, 0.75, 0.5]
    with_none = by_hand({5: 1.0}, {15: 1.0}, {}).bends(distance=1.0)[0]
    assert (with_none.share, with_none.strength_high) == (0.0, 0.0)
    assert np.isnan([with_none.place_low, with_none.place_high]).all()
    assert by_hand({}, {3: 1.0}).bends() == ()


def test_density_by_hand():
    found = by_hand({5: 1.0}, {4: 1.0, 6: -3.0}, {6: 2.0}, {})
    at = found.density([4.0, 5.0, 6.5, 10.0], distance=1.0)
    np.testing.assert_allclose(at.share, [1 / 3, 2 / 3, 2 / 3, 0.0])
    np.testing.assert_allclose(at.density, np.array([1.0, 6.0, 5.0, 0.0]) / 3.0 / 2.0)


def test_bands_by_hand():
    found = by_hand({5: 4.0}, *({5: float(k)} for k in range(1, 6)))
    plain = found.band([6.0, 7.0], level=0.5)
    np.testing.assert_allclose(plain.fit[:, 0], [4.0, 8.0])
    np.testing.assert_allclose([plain.low[:, 0], plain.high[:, 0]], [[2.0, 4.0], [4.0, 8.0]])
    basic = found.band([6.0, 7.0], level=0.5, kind="basic")
    np.testing.assert_allclose([basic.low[:, 0], basic.high[:, 0]], [[4.0, 8.0], [6.0, 12.0]])
    assert found.band().x.tolist() == list(range(21))
    with pytest.raises(ValueError, match="read-only"):
        plain.low[0] = 0.0


def test_simultaneous_bands_hold_a_share_of_whole_replicates():
    found = bootstrap(solved(), replicates=100)
    x = found.band().x
    values = np.stack([network.predict(x) for network in found.networks])
    both = {}
    for simultaneous in (False, True):
        band = found.band(level=0.8, simultaneous=simultaneous)
        inside = (band.low <= values) & (values <= band.high)
        both[simultaneous] = inside.all(axis=1).mean(axis=0)
    np.testing.assert_allclose(both[True], 0.8, atol=0.011)
    assert (both[False] < 0.6).all()


def test_many_inputs_are_shown_at_500():
    problem = kw.Problem(np.linspace(2.0, 9.0, 700), np.zeros(700), 1.0)
    found = replace(by_hand({5: 1.0}, {}, {}), solution=kw.solve(problem))
    np.testing.assert_allclose(found.band().x, np.linspace(2.0, 9.0, 500))


# -------------------------------------------------------------------------------- how it is computed


def test_replicates_are_solutions_at_the_same_lam():
    solution = solved(gaps=0.2)
    found = bootstrap(solution, replicates=4, refit=True)
    network = kw.refit(solution).network
    assert same([found.network], [network])
    resampling = Resampling.around(network, solution.problem, found.inflation, 1)
    for b, rng in enumerate(np.random.default_rng(0).spawn(4)):
        cold = kw.solve(resampling.draw(rng), tol=1e-10)
        f = kw.refit(cold).network.predict(solution.problem.X)
        np.testing.assert_allclose(found.networks[b].predict(solution.problem.X), f, atol=2e-2)
    assert found.relative_gaps.max() <= 1e-6
    tight = bootstrap(solution, replicates=4, tol=1e-10)
    resampling = Resampling.around(solution.network, solution.problem, tight.inflation, 1)
    for b, rng in enumerate(np.random.default_rng(0).spawn(4)):
        f = kw.solve(resampling.draw(rng), tol=1e-10).network.predict(solution.problem.X)
        np.testing.assert_allclose(tight.networks[b].predict(solution.problem.X), f, atol=1e-4)


def test_the_result_depends_on_the_seed_and_not_on_the_workers():
    solution = solved(gaps=0.1)
    alone = bootstrap(solution, replicates=6).networks
    assert same(bootstrap(solution, replicates=6, n_jobs=2).networks, alone)
    with parallel_config(backend="threading"):
        assert same(bootstrap(solution, replicates=6, n_jobs=2).networks, alone)
    # a replicate does not depend on how many there are
    assert same(bootstrap(solution, replicates=3).networks, alone[:3])
    assert not same(bootstrap(solution, replicates=6, random_state=1).networks, alone)
    rng = np.random.default_rng(0)
    assert same(bootstrap(solution, replicates=6, random_state=rng).networks, alone)
    assert not same(bootstrap(solution, replicates=6, random_state=rng).networks, alone)


def test_a_stop_keeps_the_replicates_that_are_done():
    told = []

    def stop(done, of):
        told.append((done, of))
        return done >= 3

    solution = solved()
    found = bootstrap(solution, replicates=9, progress=stop)
    assert told == [(1, 9), (2, 9), (3, 9)]
    assert found.n_replicates == 3
    assert found.notices == ("stopped early: 3 of 9 replicates were done",)
    assert same(found.networks, bootstrap(solution, replicates=9).networks[:3])
    with pytest.raises(ValueError, match=r"max_seconds: 1 of 9 replicates"):
        bootstrap(solution, replicates=9, progress=lambda done, of: True)
    with pytest.raises(ValueError, match=r"max_seconds: 0 of 9 replicates"):
        bootstrap(solution, replicates=9, max_seconds=1e-9)


def test_out_of_time_ends_with_the_first_that_was_not_done(monkeypatch):
    real, calls = kw.solve, []

    def slow(problem, **options):
        calls.append(options["max_seconds"])
        found = real(problem, tol=options["tol"], start=options["start"])
        return replace(found, status=kw.Status.MAX_SECONDS) if len(calls) == 4 else found

    monkeypatch.setattr(sys.modules[bootstrap.__module__], "solve", slow)
    began = time.monotonic()
    assert bootstrap(solved(), replicates=9, max_seconds=1e3).n_replicates == 3
    assert all(1e3 - (time.monotonic() - began) <= seconds <= 1e3 for seconds in calls)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"replicates": 1}, ValueError, "replicates: must be"),
        ({"replicates": 2.5}, ValueError, "replicates: must be"),
        ({"scheme": "wild"}, ValueError, "scheme: must be"),
        ({"block": 3}, ValueError, "block: has a meaning under"),
        ({"scheme": "block", "block": 0}, ValueError, "block: must be"),
        ({"tol": 0.0}, ValueError, "tol: must be"),
        ({"max_seconds": -1.0}, ValueError, "max_seconds: must be"),
        ({"progress": 3}, TypeError, "progress: must be"),
        ({"random_state": -1}, ValueError, "random_state: must be"),
    ],
)
def test_bad_arguments_are_named(options, error, match):
    solution = solved(n=20)
    with pytest.raises(error, match=match):
        bootstrap(solution, **options)


def test_fits_that_cannot_be_bootstrapped_are_refused():
    x, Y = kinked(n=20)
    with pytest.raises(TypeError, match="solution: must be"):
        bootstrap(kw.Problem(x, Y, 1.0))
    with pytest.raises(NotImplementedError, match="loss: bootstrap takes squared"):
        bootstrap(kw.solve(kw.Problem(x, Y, 1.0, "huber")))
    with pytest.raises(ValueError, match="solution: interpolates"):
        bootstrap(kw.solve(kw.Problem(x, Y, 0.0)))
    Y[2:, 1] = np.nan
    with pytest.raises(ValueError, match=r"solution: task 1 has 2 labels for 2\.0 degrees"):
        bootstrap(kw.solve(kw.Problem(x, Y, 1e3)))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda found: found.band(level=1.0), ValueError, "level: must be"),
        (lambda found: found.bends(level="0.9"), TypeError, "level: must be"),
        (lambda found: found.band(kind="normal"), ValueError, "kind: must be"),
        (lambda found: found.band(np.zeros((2, 2))), ValueError, "x: must be"),
        (lambda found: found.density([]), ValueError, "x: must be"),
        (lambda found: found.bends(distance=0.0), ValueError, "distance: must be"),
        (lambda found: found.density(distance="1"), TypeError, "distance: must be"),
    ],
)
def test_bad_questions_are_named(call, error, match):
    with pytest.raises(error, match=match):
        call(by_hand({5: 1.0}, {5: 2.0}, {6: 1.0}))


@pytest.mark.slow
def test_bands_of_refits_hold_the_truth_about_as_often_as_they_say():
    held = []
    for seed in range(40):
        x, Y = kinked(n=100, noise=0.2, seed=seed)
        problem = kw.Problem(x, Y, 1.0)
        solution = kw.cross_validate(problem, scheme="blocked", rule="1se", n_lams=30).solution
        band = bootstrap(solution, refit=True, random_state=seed).band()
        truth = np.maximum(band.x - 0.4, 0.0)[:, None] * [4.0, -3.0] + band.x[:, None]
        held.append(((band.low <= truth) & (truth <= band.high)).mean())
    assert 0.8 < np.mean(held) < 0.97
