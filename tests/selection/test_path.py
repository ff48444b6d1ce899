from __future__ import annotations

import numpy as np
import pytest
from references import conic_optimum, dense_loss, random_data

import knotwork as kw
from knotwork.bins import Bins
from knotwork.points import Points
from knotwork.selection.freedom import degrees_of_freedom
from knotwork.solvers import path as solvers_path


@pytest.fixture(params=["bins", "points"])
def view(request, monkeypatch):
    """Data seen in bins, and point by point."""
    monkeypatch.setattr(solvers_path, "_COMPILED", (0, 10**9) if request.param == "points" else (1, 0))


def problem_of(data, lam=1.0):
    return kw.Problem(data.X, data.Y, lam, sample_weight=data.weight)


KINDS = [(0.0, None), (0.3, None), (0.0, "rows"), (0.2, "labels")]


@pytest.mark.parametrize(("gaps", "weights"), KINDS)
@pytest.mark.parametrize("n_tasks", [1, 3])
@pytest.mark.usefixtures("view")
def test_every_lam_is_solved_as_it_is_alone(gaps, weights, n_tasks):
    data = random_data(np.random.default_rng(1), 60, n_tasks, gaps=gaps, weights=weights)
    problem = problem_of(data)
    path = kw.path(problem, 30, 1e-4)
    assert path.status is kw.Status.OPTIMAL
    assert path.lam_max == pytest.approx(kw.lam_max(problem), rel=1e-12)
    np.testing.assert_allclose(path.lams, path.lam_max * np.geomspace(1, 1e-4, 30), rtol=1e-12)
    assert np.all(path.gaps <= 1e-6)
    for lam, one in zip(path.lams.tolist(), path.solutions, strict=True):
        assert one.problem.lam == lam
        alone = kw.solve(problem.with_lam(lam), tol=1e-10)
        assert one.certificate.dual <= alone.certificate.primal * (1 + 1e-12)
        assert alone.certificate.primal <= one.certificate.primal * (1 + 1e-12)
        assert one.certificate.primal == pytest.approx(
            problem.with_lam(lam).objective(one.network), rel=1e-10
        )


@pytest.mark.parametrize(("gaps", "weights"), [KINDS[0], KINDS[3]])
@pytest.mark.usefixtures("view")
def test_every_lam_is_solved_as_by_a_conic_solver(gaps, weights):
    data = random_data(np.random.default_rng(2), 40, 2, gaps=gaps, weights=weights)
    path = kw.path(problem_of(data), 5, 1e-3)
    for one in path.solutions:
        best = conic_optimum(data.X, data.Y, one.problem.lam, data.weight)
        assert one.certificate.primal >= best.dual * (1 - 1e-9)
        assert one.certificate.primal <= best.primal * (1 + 2e-6)
        assert one.certificate.dual <= best.primal * (1 + 1e-9)


@pytest.mark.usefixtures("view")
def test_the_dual_point_of_each_lam_proves_its_bound():
    data = random_data(np.random.default_rng(3), 400, 2, gaps=0.1)
    for one in kw.path(problem_of(data), 8, 1e-3).solutions:
        again = kw.certify(one.problem, one.network, one.certificate.dual_point)
        assert again.dual >= one.certificate.dual - 1e-9 * abs(one.certificate.primal)


@pytest.mark.parametrize("spacing", ["regular", "clustered", "log-normal", "repeated"])
@pytest.mark.usefixtures("view")
def test_any_spacing(spacing):
    data = random_data(np.random.default_rng(4), 300, 2, spacing)
    path = kw.path(problem_of(data), 20, 1e-4)
    assert path.status is kw.Status.OPTIMAL
    for one in path.solutions[::5]:
        assert kw.certify(one.problem, one.network).relative_gap <= 1.1e-6


@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_what_bins_hide_is_in_every_certificate(gaps):
    data = random_data(np.random.default_rng(20), 6000, 2, gaps=gaps)
    problem = problem_of(data)
    path = kw.path(problem, 15, 1e-3)
    assert len(Bins(Points.from_problem(problem), 256)) < 600
    for one in path.solutions:
        # looks at every data point, and takes no gap that is only a matter of rounding
        exact = kw.certify(one.problem, one.network)
        assert exact.primal == pytest.approx(one.certificate.primal, rel=1e-11)
        assert exact.gap <= one.certificate.gap * (1 + 1e-6) + 1e-12 * exact.primal
        assert one.certificate.relative_gap <= 1e-6


def test_the_penalty_grows_and_the_loss_falls_along_the_path():
    data = random_data(np.random.default_rng(5), 500, 3)
    path = kw.path(problem_of(data), 60, 1e-4, tol=1e-10)
    cost = np.array([one.network.cost() for one in path.solutions])
    loss = np.array([path.problem.loss_value(one.network) for one in path.solutions])
    assert cost[0] <= 1e-6 * cost[-1]
    assert np.all(np.diff(cost) >= -1e-6 * cost[-1])
    assert np.all(np.diff(loss) <= 1e-6 * loss[0])
    assert path.n_knots[0] == 0
    assert path.n_knots[-1] > 5


def test_where_half_of_the_data_are_knots():
    rng = np.random.default_rng(6)
    x = np.sort(rng.uniform(0, 1, 150))
    path = kw.path(kw.Problem(x, rng.standard_normal((150, 2)), 1.0), 15, 1e-7)
    assert path.status is kw.Status.OPTIMAL
    assert path.n_knots[-1] > 75


def test_many_tasks_on_few_points():
    rng = np.random.default_rng(7)
    x = np.sort(rng.uniform(0, 1, 8))
    path = kw.path(kw.Problem(x, rng.standard_normal((8, 30)), 1.0), 6, 1e-2)
    assert path.status is kw.Status.OPTIMAL
    assert np.all(path.gaps <= 1e-6)


def test_a_task_with_one_label():
    data = random_data(np.random.default_rng(21), 40, 2)
    data.Y[np.arange(40) != 7, 1] = np.nan
    path = kw.path(problem_of(data), 6, 1e-2)
    assert path.status is kw.Status.OPTIMAL
    for one in path.solutions:
        assert one.network.predict(data.X)[7, 1] == pytest.approx(data.Y[7, 1], rel=1e-9)
    assert path.df is not None
    assert path.df[0] == 2 + 1


def test_lams_of_ones_own_are_sorted_and_counted_once():
    data = random_data(np.random.default_rng(8), 50, 2)
    path = kw.path(problem_of(data), lams=[0.1, 3.0, 0.1, 0.01])
    np.testing.assert_array_equal(path.lams, [3.0, 0.1, 0.01])
    expected = kw.solve(problem_of(data, 0.1)).certificate
    assert path.solutions[1].certificate.primal == pytest.approx(expected.primal, rel=2e-6)


def test_data_on_lines_have_one_lam():
    x = np.linspace(0, 1, 9)
    path = kw.path(kw.Problem(x, np.column_stack([2 * x, 3 - x]), 5.0))
    assert (path.lam_max, path.lams.tolist(), path.n_knots.tolist()) == (0.0, [1.0], [0])
    assert path.df is not None
    assert path.df.tolist() == [4.0]


@pytest.mark.parametrize("rows", [1, 2])
def test_very_few_rows(rows):
    path = kw.path(kw.Problem(np.arange(float(rows)), np.arange(float(rows)), 1.0))
    assert path.n_knots.tolist() == [0]
    assert path.df is not None
    assert path.df.tolist() == [rows]


# ------------------------------------------------------------------------------ degrees of freedom


def dense_degrees_of_freedom(data, network, lam):
    """tr[(G'G + lam D)^-1 G'G] with G (N T, (K + 2) T), no structure used."""
    location, jump = network.knots
    n, n_tasks = data.Y.shape
    weight = np.where(np.isnan(data.Y), 0.0, 1.0)
    if data.weight is not None:
        weight = weight * (data.weight if data.weight.ndim == 2 else data.weight[:, None])
    features = np.column_stack([np.ones(n), data.X, np.maximum(data.X[:, None] - location, 0.0)])
    width = features.shape[1]
    G = np.zeros((n * n_tasks, width * n_tasks))
    D = np.zeros((width * n_tasks, width * n_tasks))
    for t in range(n_tasks):
        G[t * n : (t + 1) * n, t * width : (t + 1) * width] = np.sqrt(weight[:, [t]]) * features
    for k, v in enumerate(jump):
        at = np.arange(n_tasks) * width + 2 + k
        size = np.linalg.norm(v)
        D[np.ix_(at, at)] = (np.eye(n_tasks) - np.outer(v, v) / size**2) / size
    return np.trace(np.linalg.pinv(G.T @ G + lam * D) @ G.T @ G)


@pytest.mark.parametrize(("gaps", "weights"), KINDS)
@pytest.mark.parametrize("n_tasks", [1, 3])
def test_degrees_of_freedom_by_the_dense_formula(gaps, weights, n_tasks):
    data = random_data(np.random.default_rng(9), 60, n_tasks, gaps=gaps, weights=weights)
    path = kw.path(problem_of(data), 8, 1e-3, tol=1e-9)
    assert path.df is not None
    for one, df in zip(path.solutions, path.df.tolist(), strict=True):
        expected = dense_degrees_of_freedom(data, one.network, one.problem.lam)
        assert df == pytest.approx(expected, rel=1e-8)
    assert path.df[0] == 2 * n_tasks
    assert np.all(path.df <= n_tasks * (path.n_knots + 2) + 1e-9)


@pytest.mark.parametrize(("gaps", "weights"), [KINDS[0], KINDS[3]])
@pytest.mark.parametrize("n_tasks", [1, 2])
def test_degrees_of_freedom_are_the_divergence_of_the_fit(gaps, weights, n_tasks):
    data = random_data(np.random.default_rng(10), 25, n_tasks, gaps=gaps, weights=weights)
    lam = 0.02 * kw.lam_max(problem_of(data))
    path = kw.path(problem_of(data), lams=[lam], tol=1e-12)
    assert path.n_knots[0] >= 2
    divergence, step = 0.0, 1e-4
    for i, t in np.argwhere(problem_of(data).label_weight() > 0):
        ends = []
        for sign in (1, -1):
            Y = data.Y.copy()
            Y[i, t] += sign * step
            moved = kw.solve(problem_of(data._replace(Y=Y), lam), tol=1e-13)
            ends.append(moved.network.predict(data.X)[i, t])
        divergence += (ends[0] - ends[1]) / (2 * step)
    assert path.df is not None
    assert path.df[0] == pytest.approx(divergence, rel=1e-6)


def test_one_task_is_free_but_for_the_choice_of_knots():
    # |v| is linear along v: for one task nothing that is chosen is curved
    data = random_data(np.random.default_rng(11), 80, 1)
    path = kw.path(problem_of(data), 10, 1e-3)
    np.testing.assert_allclose(path.df, path.n_knots + 2, rtol=1e-9)


def test_degrees_of_freedom_from_binned_data():
    data = random_data(np.random.default_rng(12), 5000, 2)
    one = kw.path(problem_of(data), 5, 1e-3).solutions[-1]
    bins = Bins(Points.from_problem(one.problem))
    assert len(bins) < 5000
    from_bins = degrees_of_freedom(one.network, one.problem.lam, bins)
    dense = degrees_of_freedom(one.network, one.problem.lam, Bins(Points.from_problem(one.problem), 5000))
    assert from_bins == pytest.approx(dense, rel=1e-9)


def test_information_criteria():
    data = random_data(np.random.default_rng(13), 300, 2, gaps=0.2)
    path = kw.path(problem_of(data), 40, 1e-4)
    n = np.count_nonzero(~np.isnan(data.Y))
    squares = [2 * dense_loss(data.Y, one.network.predict(data.X)) for one in path.solutions]
    assert path.df is not None
    np.testing.assert_allclose(path.aic, n * np.log(np.array(squares) / n) + 2 * path.df, rtol=1e-9)
    np.testing.assert_allclose(path.bic, n * np.log(np.array(squares) / n) + np.log(n) * path.df, rtol=1e-9)
    assert path.best("aic") is path.solutions[int(np.argmin(path.aic))]
    best = path.best("bic")
    assert best is path.solutions[int(np.argmin(path.bic))]
    # three kinks in the data: neither none nor all
    assert 3 <= best.network.n_neurons <= path.best("aic").network.n_neurons < 100
    with pytest.raises(ValueError, match="criterion: must be 'aic' or 'bic', got 'cp'"):
        path.best("cp")


# -------------------------------------------------------------------------------- stops, bad input


@pytest.mark.parametrize("after", [0, 7, 25])
def test_a_stop_keeps_what_was_finished(after):
    data = random_data(np.random.default_rng(14), 300, 2)
    whole = kw.path(problem_of(data), 20)
    seen = []

    def stop(entry):
        seen.append(entry)
        return len(seen) > after

    part = kw.path(problem_of(data), 20, progress=stop)
    assert part.status is kw.Status.STOPPED
    assert 1 <= len(part.solutions) < 20
    np.testing.assert_array_equal(part.lams, whole.lams[: len(part.lams)])
    for one, other in zip(part.solutions, whole.solutions, strict=False):
        assert one.certificate.primal == other.certificate.primal
    assert len(seen) == after + 1


def test_out_of_time():
    data = random_data(np.random.default_rng(15), 300, 2)
    path = kw.path(problem_of(data), max_seconds=1e-9)
    assert path.status is kw.Status.MAX_SECONDS
    assert len(path.solutions) == 1


def test_the_path_leaves_the_problem_as_it_was_and_repeats_itself():
    data = random_data(np.random.default_rng(16), 200, 2)
    problem = problem_of(data, 0.7)
    one, other = kw.path(problem, 10), kw.path(problem, 10)
    assert (problem.lam, one.problem) == (0.7, problem)
    for a, b in zip(one.solutions, other.solutions, strict=True):
        assert np.array_equal(a.network.V, b.network.V)
        assert a.certificate.gap == b.certificate.gap


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_lams": 0}, ValueError, "n_lams: must be an integer >= 1, got 0"),
        ({"n_lams": 2.5}, ValueError, "n_lams: must be"),
        ({"lam_ratio": 0.0}, ValueError, "lam_ratio: must be a number between 0 and 1, got 0.0"),
        ({"lam_ratio": 1.0}, ValueError, "lam_ratio: must be"),
        ({"lam_ratio": float("nan")}, ValueError, "lam_ratio: must be"),
        ({"lam_ratio": "small"}, ValueError, "lam_ratio: must be"),
        ({"lams": []}, ValueError, "lams: must be one row of numbers > 0"),
        ({"lams": [1.0, 0.0]}, ValueError, "lams: must be > 0"),
        ({"lams": [1.0, -1.0]}, ValueError, "lams: must be > 0"),
        ({"lams": [1.0, float("nan")]}, ValueError, "lams: NaN"),
        ({"lams": "all"}, TypeError, "lams: "),
        ({"tol": 0.0}, ValueError, "tol: must be"),
        ({"max_seconds": 0.0}, ValueError, "max_seconds: must be"),
        ({"progress": 3}, TypeError, "progress: must be"),
    ],
)
def test_bad_options_are_named(options, error, message):
    with pytest.raises(error, match=message):
        kw.path(kw.Problem(np.arange(5.0), np.arange(5.0) ** 2, 1.0), **options)


def test_no_problem():
    with pytest.raises(TypeError, match=r"^problem: must be a knotwork.Problem, got ndarray"):
        kw.path(np.arange(3.0))  # type: ignore[arg-type]


# ------------------------------------------------------------------------- other losses, penalties


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "huber"},
        {"loss": "logistic"},
        {"penalty": kw.Penalty(False, "none")},
        {"penalty": kw.Penalty(True, "none")},
    ],
    ids=str,
)
def test_other_problems_are_solved_one_after_another(options):
    data = random_data(np.random.default_rng(17), 25, 2)
    coins = np.random.default_rng(19).integers(0, 2, data.Y.shape).astype(float)
    Y = coins if options.get("loss") == "logistic" else data.Y
    problem = kw.Problem(data.X, Y, 1.0, **options)
    path = kw.path(problem, 4, 0.05)
    assert path.status is kw.Status.OPTIMAL
    assert np.all(path.gaps <= 1e-6)
    assert path.n_knots[-1] > 0
    for one in path.solutions:
        alone = kw.solve(problem.with_lam(one.problem.lam), tol=1e-8)
        assert one.certificate.primal == pytest.approx(alone.certificate.primal, rel=2e-6)
    assert (path.df, path.aic, path.bic) == (None, None, None)
    with pytest.raises(ValueError, match="criterion: 'aic' is for squared loss"):
        path.best("aic")


def test_a_stop_keeps_what_was_finished_of_other_problems():
    data = random_data(np.random.default_rng(18), 25, 1)
    problem = kw.Problem(data.X, data.Y, 1.0, "huber")
    whole = kw.path(problem, 6, 0.01)
    first = sum(len(one.trace) for one in whole.solutions[:3])
    seen = []

    def stop(entry):
        seen.append(entry)
        return len(seen) > first

    part = kw.path(problem, 6, 0.01, progress=stop)
    assert part.status is kw.Status.STOPPED
    assert 1 <= len(part.lams) < 6
    np.testing.assert_array_equal(part.lams, whole.lams[: len(part.lams)])
