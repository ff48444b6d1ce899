from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from problems import CATALOGUE
from references import dense_loss, dense_objective, dense_predict, label_weights, random_data

import knotwork as kw

X, Y = np.array([0.0, 1.0, 2.5, 4.0]), np.array([[1.0, 0.0], [2.0, -1.0], [0.5, 3.0], [1.0, 1.0]])


def some_network(rng, n_tasks, K=5):
    return kw.ReLUNetwork(
        rng.standard_normal((K, 1)),
        rng.standard_normal(K),
        rng.standard_normal((K, n_tasks)),
        rng.standard_normal((1, n_tasks)),
        rng.standard_normal(n_tasks),
    )


# ------------------------------------------------------------------------------------- bad input


BAD_INPUT = [
    ({"X": [], "Y": []}, ValueError, r"^X: holds no rows"),
    ({"X": np.zeros((0, 1)), "Y": np.zeros((0, 2))}, ValueError, r"^X: holds no rows"),
    ({"X": np.zeros((4, 0))}, ValueError, r"^X: holds no columns"),
    ({"Y": np.zeros((4, 0))}, ValueError, r"^Y: holds no columns"),
    ({"X": X[:3]}, ValueError, r"^Y: has 4 rows but X has 3"),
    ({"X": np.zeros((4, 1, 1))}, ValueError, r"^X: must have one or two dimensions"),
    ({"Y": np.zeros((4, 1, 1))}, ValueError, r"^Y: must have one or two dimensions"),
    ({"X": 1.0, "Y": 2.0}, ValueError, r"^X: must have one or two dimensions"),
    ({"X": [0.0, 1.0, np.nan, 4.0]}, ValueError, r"^X: NaN at index \(2,\)"),
    ({"X": [0.0, 1.0, np.inf, 4.0]}, ValueError, r"^X: infinite value at index \(2,\)"),
    ({"Y": [0.0, -np.inf, 1.0, np.nan]}, ValueError, r"^Y: infinite value at index \(1,\)"),
    ({"Y": [[0.0, np.nan]] * 4}, ValueError, r"^Y: column 1 has no label .*drop that task"),
    ({"Y": np.full(4, np.nan)}, ValueError, r"^Y: column 0 has no label"),
    ({"X": ["0", "1", "2", "3"]}, TypeError, r"^X: got an array of text"),
    ({"Y": np.array([b"a"] * 4)}, TypeError, r"^Y: got an array of text"),
    ({"X": X + 0j}, TypeError, r"^X: got an array of complex"),
    ({"Y": Y + 1j}, TypeError, r"^Y: got an array of complex"),
    ({"X": X.astype(object)}, TypeError, r"^X: got an array of object"),
    ({"Y": [None, 1.0, 2.0, 3.0]}, TypeError, r"^Y: got an array of object"),
    ({"X": np.arange(4).astype("datetime64[D]")}, TypeError, r"^X: got an array of date"),
    ({"Y": [[1.0], [1.0, 2.0], [1.0], [1.0]]}, ValueError, r"^Y: rows of different lengths"),
    ({"X": np.ma.masked_equal(X, 1.0)}, TypeError, r"^X: masked arrays .*NaN"),
    ({"Y": np.ma.masked_array(Y, mask=False)}, TypeError, r"^Y: masked arrays"),
    ({"X": np.array([0, 1, 2, 2**53 + 1])}, ValueError, r"^X: integers above 2\*\*53"),
    ({"X": X * 1e300}, ValueError, r"^X: values up to .* divide X"),
    ({"Y": Y * 1e300}, ValueError, r"^Y: values up to .* divide Y"),
    ({"X": X * 1e-300}, ValueError, r"^X: values of at most .* multiply X"),
    ({"Y": Y * 1e-300}, ValueError, r"^Y: values of at most .* multiply Y"),
    ({"Y": np.array([5e-324, 0, 0, 0])}, ValueError, r"^Y: values of at most"),
    ({"X": X.astype(np.longdouble) * np.longdouble("1e4000")}, ValueError, r"^X: infinite value"),
    ({"lam": -1e-9}, ValueError, r"^lam: must be finite and >= 0"),
    ({"lam": np.nan}, ValueError, r"^lam: must be finite and >= 0"),
    ({"lam": np.inf}, ValueError, r"^lam: must be finite and >= 0"),
    ({"lam": None}, TypeError, r"^lam: must be a number"),
    ({"lam": "much"}, TypeError, r"^lam: must be a number"),
    ({"lam": [0.1, 0.2]}, TypeError, r"^lam: must be a number"),
    ({"lam": 1j}, TypeError, r"^lam: must be a number"),
    ({"loss": "mse"}, ValueError, r"^loss: "),
    ({"loss": None}, TypeError, r"^loss: must be a name, a loss or a sequence"),
    ({"loss": ["squared"] * 3}, ValueError, r"^loss: has 3 entries but Y has 2 tasks"),
    ({"loss": ["squared", "multinomial"]}, ValueError, r"^loss: 'multinomial' joins all tasks"),
    ({"loss": "logistic"}, ValueError, r"^Y: logistic labels are 0 or 1, got .*2\.0.* at row 1, column 0"),
    (
        {"loss": "poisson"},
        ValueError,
        r"^Y: Poisson labels are counts >= 0, got .*-1\.0.* at row 1, column 1",
    ),
    ({"loss": ["squared", "poisson"]}, ValueError, r"^Y: Poisson labels .* at row 1, column .*task 1"),
    ({"loss": "multinomial"}, ValueError, r"^Y: .*probabilities of the classes.* at row 1, column 1"),
    (
        {"loss": "logistic", "Y": [0, 1, 0, 1], "lam": 0.0},
        ValueError,
        r"^lam: must be > 0 under loss='logistic'",
    ),
    ({"penalty": "free"}, TypeError, r"^penalty: must be a knotwork\.Penalty"),
    ({"penalty": None}, TypeError, r"^penalty: must be a knotwork\.Penalty"),
    ({"sample_weight": np.ones(3)}, ValueError, r"^sample_weight: must have shape \(4,\) or \(4, 2\)"),
    ({"sample_weight": np.ones((4, 1))}, ValueError, r"^sample_weight: must have shape"),
    ({"sample_weight": 1.0}, ValueError, r"^sample_weight: must have shape"),
    ({"sample_weight": [1.0, -1.0, 1.0, 1.0]}, ValueError, r"^sample_weight: has a negative entry"),
    ({"sample_weight": [1.0, np.nan, 1.0, 1.0]}, ValueError, r"^sample_weight: NaN at index"),
    ({"sample_weight": [1.0, np.inf, 1.0, 1.0]}, ValueError, r"^sample_weight: infinite value"),
    ({"sample_weight": np.full(4, 1e300)}, ValueError, r"^sample_weight: values up to"),
    ({"sample_weight": np.full(4, 1e-300)}, ValueError, r"^sample_weight: values of at most"),
    ({"sample_weight": np.zeros(4)}, ValueError, r"^Y: column 0 has no label"),
    ({"sample_weight": [[1.0, 0.0]] * 4}, ValueError, r"^Y: column 1 has no label"),
    ({"sample_weight": ["1"] * 4}, TypeError, r"^sample_weight: got an array of text"),
    ({"X": pd.Series(["a", "b", "c", "d"])}, TypeError, r"^X: "),
    ({"X": pd.DataFrame({"x": ["a", "b", "c", "d"]})}, TypeError, r"^X: "),
    ({"X": pd.Series([1, 2, None, 4], dtype="Int64")}, ValueError, r"^X: NaN at index"),
    ({"X": pd.Series(pd.to_datetime(["2020-01-01"] * 4))}, TypeError, r"^X: "),
    ({"X": pd.Series(pd.to_timedelta([1, 2, 3, 4], unit="D"))}, TypeError, r"^X: "),
    ({"X": pd.DataFrame({"x": X, "when": pd.to_datetime(["2020-01-01"] * 4)})}, TypeError, r"^X: "),
    ({"Y": pd.Series([1 + 2j, 2, 3, 4])}, TypeError, r"^Y: got an array of complex"),
    ({"Y": pd.Series(["1", "2", "3", "4"])}, TypeError, r"^Y: "),
    ({"X": pd.Series([0, 1, 2, 2**53 + 1])}, ValueError, r"^X: integers above 2\*\*53"),
    ({"X": pd.Series([0, 1, 2, 2**53 + 1], dtype="Int64")}, ValueError, r"^X: integers above 2\*\*53"),
    ({"lam": 10**400}, ValueError, r"^lam: must be finite"),
    ({"Y": pd.Series(["a", "b", "c", "d"], dtype="category")}, TypeError, r"^Y: "),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD_INPUT)
def test_bad_input_is_named_with_a_remedy(arguments, error, message):
    with pytest.raises(error, match=message):
        kw.Problem(**{"X": X, "Y": Y, "lam": 0.1, **arguments})


def test_weight_zero_on_the_only_label_of_a_task_is_no_label():
    labels = np.array([[1.0, 2.0], [1.0, np.nan], [0.0, np.nan], [0.0, np.nan]])
    with pytest.raises(ValueError, match=r"^Y: column 1 has no label"):
        kw.Problem(X, labels, 0.1, sample_weight=[0.0, 1.0, 1.0, 1.0])


@pytest.mark.parametrize("n", [1, 2])
def test_few_rows_are_a_problem_with_an_affine_answer(n):
    problem = kw.Problem(X[:n], Y[:n], 0.1)
    assert np.allclose(problem.free_fit().predict(X[:n]), Y[:n], atol=1e-14)
    assert problem.objective(problem.free_fit()) == pytest.approx(0.0, abs=1e-25)


# ------------------------------------------------------------------------- one number, any layout


@pytest.mark.parametrize(
    "form",
    [
        lambda a: a.astype(int),
        lambda a: a.astype(np.int8),
        lambda a: a.astype(np.float32),
        lambda a: a.astype(np.float16),
        lambda a: a.astype(np.longdouble),
        lambda a: a.astype(">f8"),
        lambda a: a.astype(">i4"),
        np.asfortranarray,
        lambda a: np.repeat(a, 2, axis=0)[::2],
        lambda a: a[::-1].copy()[::-1],
        lambda a: a.tolist(),
        lambda a: pd.DataFrame(a),
        lambda a: pd.DataFrame(a).astype("Int64"),
        lambda a: pd.DataFrame(a).astype("Float32"),
    ],
)
def test_every_layout_and_type_gives_the_same_numbers(form):
    rng = np.random.default_rng(0)
    x, y = rng.permutation(12).astype(float)[:, None], rng.integers(-9, 9, (12, 3)).astype(float)
    network = some_network(rng, 3)
    plain, other = kw.Problem(x, y, 0.3), kw.Problem(form(x), form(y), 0.3)
    assert other.X.dtype == other.Y.dtype == np.float64
    assert np.array_equal(other.X, plain.X)
    assert np.array_equal(other.Y, plain.Y)
    assert other.objective(network) == plain.objective(network)


def test_bools_are_zero_and_one():
    problem = kw.Problem([False, True], [[True], [False]], 0.1)
    assert np.array_equal(problem.X, [[0.0], [1.0]])
    assert np.array_equal(problem.Y, [[1.0], [0.0]])


def test_flat_arrays_are_one_column():
    assert kw.Problem(X, Y[:, 0], 0.1).X.shape == kw.Problem(X[:, None], Y[:, :1], 0.1).Y.shape == (4, 1)


def test_nullable_pandas_labels_mark_missing_ones():
    labels = pd.DataFrame({"a": pd.array([1, None, 3, 4], dtype="Int64"), "b": [0.5, 1.5, None, 2.0]})
    problem = kw.Problem(pd.Series(X), labels, 0.1)
    assert np.array_equal(problem.Y, [[1, 0.5], [np.nan, 1.5], [3, np.nan], [4, 2]], equal_nan=True)
    assert problem.has_gaps
    assert np.array_equal(problem.n_labels, [3, 3])


def test_extreme_but_representable_scales_are_exact():
    network = some_network(np.random.default_rng(1), 2)
    for scale in (1e-40, 1e40):
        # X and lam scaled, W scaled back: the same loss, the same cost times lam
        scaled = kw.ReLUNetwork(network.W / scale, network.b, network.V, network.A / scale, network.c)
        small = kw.Problem(X * scale, Y, 0.3 * scale).objective(scaled)
        assert small == pytest.approx(kw.Problem(X, Y, 0.3).objective(network), rel=1e-13)


# ------------------------------------------------------------------------------------ immutability


def test_callers_arrays_are_neither_aliased_nor_frozen():
    x, y, w = X.copy(), Y.copy(), np.ones(4)
    problem = kw.Problem(x, y, 0.1, sample_weight=w)
    x[:], y[:], w[:] = 7.0, 7.0, 7.0
    assert np.array_equal(problem.X[:, 0], X)
    assert np.array_equal(problem.Y, Y)
    assert np.array_equal(problem.sample_weight, np.ones(4))


def test_copy_false_keeps_a_view_and_leaves_the_callers_array_writable():
    x, y = X.copy()[:, None], Y.copy()
    problem = kw.Problem(x, y, 0.1, copy=False)
    assert np.shares_memory(problem.Y, y)
    assert x.flags.writeable
    assert y.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        problem.Y[0, 0] = 1.0


def test_fields_cannot_be_changed():
    problem = kw.Problem(X, Y, 0.1, sample_weight=np.ones(4))
    for array in (problem.X, problem.Y, problem.sample_weight):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    with pytest.raises(AttributeError):
        problem.lam = 1.0


def test_with_lam_changes_lam_alone():
    problem = kw.Problem(X, Y, 0.1, sample_weight=np.ones((4, 2)))
    other = problem.with_lam(2.0)
    assert other.lam == 2.0
    assert problem.lam == 0.1
    assert np.shares_memory(other.Y, problem.Y)
    assert np.array_equal(other.sample_weight, problem.sample_weight)


# --------------------------------------------------------------------------------------- objective


@pytest.mark.parametrize("gaps", [0.0, 0.3])
@pytest.mark.parametrize("weights", [None, "rows", "labels"])
def test_objective_is_the_dense_formula(gaps, weights):
    rng = np.random.default_rng(3)
    data = random_data(rng, 30, 3, "repeated", gaps, weights)
    network = some_network(rng, 3)
    problem = kw.Problem(data.X, data.Y, 0.7, sample_weight=data.weight)
    expected = dense_objective(data.X, data.Y, 0.7, network, data.weight)
    assert problem.objective(network) == pytest.approx(expected, rel=1e-13)
    loss = dense_loss(data.Y, dense_predict(network, data.X), data.weight)
    assert problem.loss_value(network) == pytest.approx(loss, rel=1e-13)
    w = label_weights(data.Y, data.weight)
    assert np.array_equal(problem.label_weight(), w)
    assert np.array_equal(problem.n_labels, np.count_nonzero(w, axis=0))
    errors = np.abs(data.Y - dense_predict(network, data.X))[w > 0]
    assert problem.misfit(network) == pytest.approx(errors.max(), rel=1e-13)


def test_objective_over_many_chunks():
    rng = np.random.default_rng(4)
    data = random_data(rng, 70_000, 2, "random", 0.1, "labels")
    network = some_network(rng, 2)
    residual = np.where(label_weights(data.Y, data.weight) > 0, data.Y - network.predict(data.X), 0.0)
    expected = 0.5 * np.sum(label_weights(data.Y, data.weight) * residual**2)
    problem = kw.Problem(data.X, data.Y, 0.7, sample_weight=data.weight)
    assert problem.loss_value(network) == pytest.approx(expected, rel=1e-12)
    assert np.array_equal(problem.label_weight(), label_weights(data.Y, data.weight))


def test_objective_takes_several_inputs_and_every_penalty():
    rng = np.random.default_rng(5)
    network = kw.ReLUNetwork(rng.standard_normal((3, 2)), rng.standard_normal(3), rng.standard_normal((3, 2)))
    inputs = rng.standard_normal((4, 2))
    penalty = kw.Penalty(biases=True, skip="nuclear")
    expected = dense_loss(Y, dense_predict(network, inputs)) + 0.7 * network.cost(penalty)
    assert kw.Problem(inputs, Y, 0.7, penalty=penalty).objective(network) == pytest.approx(
        expected, rel=1e-14
    )


def test_at_lam_zero_the_objective_is_the_cost_or_infinite():
    dots = kw.ReLUNetwork([[1.0]], [-1.0], [[-2.0]], [[1.0]], [0.0])
    problem = kw.Problem([0.0, 1.0, 2.0], [0.0, 1.0, 0.0], 0.0)
    assert problem.objective(dots) == 2.0
    near = kw.ReLUNetwork(dots.W, dots.b, dots.V, dots.A, [5e-10])
    far = kw.ReLUNetwork(dots.W, dots.b, dots.V, dots.A, [2e-9])
    assert problem.objective(near) == 2.0
    assert problem.objective(far) == np.inf


@pytest.mark.parametrize(
    ("network", "error"),
    [
        (kw.ReLUNetwork([[1.0, 2.0]], [0.0], [[1.0, 1.0]]), ValueError),
        (kw.ReLUNetwork([[1.0]], [0.0], [[1.0]]), ValueError),
        ("network", TypeError),
    ],
)
def test_objective_refuses_a_network_of_another_shape(network, error):
    with pytest.raises(error, match=r"^network: "):
        kw.Problem(X, Y, 0.1).objective(network)


# ---------------------------------------------------------------------------------------- free fit


@pytest.mark.parametrize("skip", ["free", "none"])
@pytest.mark.parametrize(
    ("gaps", "weights"), [(0.0, None), (0.0, "rows"), (0.0, "labels"), (0.4, "labels"), (0.4, None)]
)
def test_free_fit_is_weighted_least_squares(gaps, weights, skip):
    rng = np.random.default_rng(6)
    data = random_data(rng, 15, 3, "random", gaps, weights)
    fit = kw.Problem(
        data.X, data.Y, 0.1, penalty=kw.Penalty(False, skip), sample_weight=data.weight
    ).free_fit()
    assert fit.n_neurons == 0
    w = label_weights(data.Y, data.weight)
    features = np.column_stack([np.ones(15), data.X])[:, : 2 if skip == "free" else 1]
    for t in range(3):
        root = np.sqrt(w[:, t])
        y = np.where(w[:, t] > 0, data.Y[:, t], 0.0)
        expected = features @ np.linalg.lstsq(features * root[:, None], y * root, rcond=None)[0]
        assert np.allclose(fit.predict(data.X)[:, t], expected, rtol=1e-11, atol=1e-11)


def test_free_fit_takes_the_minimum_norm_where_labels_leave_it_open():
    labels = np.array([[5.0, 1.0], [np.nan, 2.0], [np.nan, 3.0], [np.nan, 4.0]])
    fit = kw.Problem([2.0, 1.0, 0.0, 3.0], labels, 0.1).free_fit()
    # c + 2 A = 5 at least c^2 + A^2
    assert np.allclose([fit.c[0], fit.A[0, 0]], [1.0, 2.0], rtol=1e-14)


@pytest.mark.parametrize("origin", [0.0, 1e6, -1e9])
def test_free_fit_keeps_its_digits_far_from_the_origin(origin):
    x = origin + np.arange(5.0)
    fit = kw.Problem(x, 3.0 * np.arange(5.0) + 1.0, 0.1).free_fit()
    assert np.allclose(
        fit.predict(x)[:, 0], 3.0 * np.arange(5.0) + 1.0, atol=1e-14 * max(1.0, abs(origin)) * 30
    )


@pytest.mark.parametrize(
    "known", [k for k in CATALOGUE if k.fitted is not None], ids=lambda known: known.name
)
def test_objective_of_the_hand_solved_fits(known):
    x, first = np.unique(known.X, return_index=True)
    values = known.fitted[first]
    slopes = np.diff(values, axis=0) / np.diff(x)[:, None]
    bends = np.diff(slopes, axis=0)
    left = slopes[:1] if len(slopes) else np.zeros((1, values.shape[1]))
    network = kw.ReLUNetwork(np.ones((len(bends), 1)), -x[1:-1], bends, left, values[0] - left[0] * x[0])
    problem = kw.Problem(known.X, known.Y, known.lam, sample_weight=known.weight)
    assert problem.objective(network) == pytest.approx(known.optimum, rel=1e-12, abs=1e-12)
