from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from references_dictionary import conic_many_tasks, random_neurons

import knotwork as kw
from knotwork.theory.directions import directions_experiment


def spread(experiment):
    return experiment.mean_gain / experiment.standard_error


def test_a_task_with_few_labels_gains_where_the_others_bend_alike_and_not_otherwise():
    lams = [0.003, 0.01, 0.03, 0.1, 30.0]
    shared, private = (directions_experiment(b, n_draws=12, lams=lams) for b in ("shared", "private"))
    # the same first task, alone, in both
    np.testing.assert_array_equal(shared.separate, private.separate)
    # nothing is left of the bends at the last of them
    assert max(shared.lam_joint.max(), shared.lam_separate.max()) < 30.0
    assert spread(shared) > 2.5
    assert shared.joint.mean() < 0.8 * shared.separate.mean()
    assert spread(private) < 1.5
    paired = private.joint - shared.joint
    assert paired.mean() > 2.5 * paired.std(ddof=1) / np.sqrt(12)


@pytest.mark.slow
@pytest.mark.parametrize("penalty", [kw.Penalty(), kw.Penalty(skip="none"), kw.Penalty(True, "frobenius")])
def test_fifty_draws(penalty):
    found = {
        b: directions_experiment(b, n_draws=50, random_state=1, penalty=penalty)
        for b in ("shared", "private")
    }
    for name, one in found.items():
        wins = int(np.sum(one.gain > 0))
        print(
            f"{penalty} {name}: joint {one.joint.mean():.5f} separate {one.separate.mean():.5f} "
            f"gain {one.mean_gain:.5f} +- {one.standard_error:.5f}, better in {wins} of 50"
        )
    assert spread(found["shared"]) > 4.0
    assert np.sum(found["shared"].gain > 0) >= 38
    assert spread(found["private"]) < 2.0
    assert found["private"].mean_gain < 0.3 * found["shared"].mean_gain


def test_each_fit_sees_its_own_labels_and_its_own_lam():
    seen = []

    def solver(problem):
        seen.append(problem)
        return SimpleNamespace(network=problem.free_fit())

    found = directions_experiment(
        "shared", n_draws=2, n_inputs=3, n_rich_tasks=4, n_rich=20, n_poor=7, lams=[0.1, 2.0], solver=solver
    )
    assert [p.lam for p in seen] == [0.1, 2.0] * 4
    both, alone = seen[0], seen[2]
    assert (both.Y.shape, alone.Y.shape, both.n_inputs) == ((27, 5), (7, 1), 3)
    assert list(both.n_labels) == [7, 20, 20, 20, 20]
    np.testing.assert_array_equal(both.Y[:7, :1], alone.Y)
    np.testing.assert_array_equal(both.X[:7], alone.X)
    # without neurons tasks do not see each other
    np.testing.assert_allclose(found.joint, found.separate, rtol=1e-10)
    np.testing.assert_array_equal(found.lam_joint, [0.1, 0.1])
    np.testing.assert_array_equal(found.gain, found.separate - found.joint)


@pytest.mark.parametrize("bends", ["shared", "directions", "private"])
def test_where_the_other_tasks_bend(bends):
    # noiseless labels on many inputs of a line show each task's bends
    seen = []

    def solver(problem):
        seen.append(problem)
        return SimpleNamespace(network=problem.free_fit())

    directions_experiment(
        bends,
        n_draws=3,
        noise=0.0,
        n_rich=4000,
        n_poor=4000,
        n_bends=1,
        n_rich_tasks=2,
        lams=[1.0],
        solver=solver,
    )
    for both in seen[::2]:
        places = []
        for t in range(3):
            rows = ~np.isnan(both.Y[:, t])
            x, y = both.X[rows, 0], both.Y[rows, t]
            order = np.argsort(x)
            slope = np.diff(y[order]) / np.diff(x[order])
            middle = 0.5 * (np.median(slope[:100]) + np.median(slope[-100:]))
            side = np.abs(slope - np.median(slope[:100])) < np.abs(slope - middle)
            places.append(x[order][np.sum(side)])
        away = np.abs(np.array(places[1:]) - places[0])
        assert np.all(away < 5e-3) if bends == "shared" else np.all(away > 0.19)


def test_any_number_of_inputs():
    rng = np.random.default_rng(0)
    W, b = random_neurons(rng, 40, 2)

    def solver(problem):
        found = conic_many_tasks("squared", (False, "free"), W, b, problem.X, problem.Y, problem.lam)
        return SimpleNamespace(network=kw.ReLUNetwork(W, b, found.V, found.A, found.c))

    found = [
        directions_experiment(
            bends,
            n_draws=2,
            n_inputs=2,
            n_rich_tasks=3,
            n_rich=40,
            n_poor=12,
            lams=[0.03, 0.3],
            solver=solver,
        )
        for bends in ("shared", "directions")
    ]
    np.testing.assert_array_equal(found[0].separate, found[1].separate)
    assert np.all(found[0].joint != found[1].joint)
    assert all(np.all(one.joint < 1.0) for one in found)


def test_the_draws_depend_on_the_random_state_alone():
    one, again, other = (
        directions_experiment("private", n_draws=2, random_state=s, lams=[0.05]) for s in (3, 3, 4)
    )
    np.testing.assert_array_equal(one.joint, again.joint)
    assert np.all(one.joint != other.joint)
    first = directions_experiment("private", n_draws=1, random_state=3, lams=[0.05])
    assert first.joint[0] == one.joint[0]
    assert np.isnan(first.standard_error)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="bends: must be one of shared, directions, private, got 'other'"):
        directions_experiment("other")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="n_draws: must be an integer >= 1, got 0"):
        directions_experiment("shared", n_draws=0)
    with pytest.raises(ValueError, match=r"n_poor: must be an integer >= 1, got 2\.5"):
        directions_experiment("shared", n_poor=2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"noise: must be finite and >= 0, got -1\.0"):
        directions_experiment("shared", noise=-1.0)
    with pytest.raises(ValueError, match="lams: must hold at least one strength"):
        directions_experiment("shared", lams=[])
    with pytest.raises(ValueError, match=r"n_bends: 40 bends leave no place 0\.2 apart from all"):
        directions_experiment("private", n_bends=40)
