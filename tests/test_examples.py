"""The worked examples run on small data, and their pages show what they draw."""

from __future__ import annotations

import importlib
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import knotwork as kw

ROOT = Path(__file__).parents[1]
PAGES = {"employment": "employment-bends", "pulp_fiber": "pulp-fiber", "mammals": "mammals"}


@pytest.fixture
def example(monkeypatch):
    if not (ROOT / "examples").exists():
        pytest.skip("no examples beside the tests")
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    return importlib.import_module


@pytest.fixture
def kinked():
    """Three series of 60 months that all bend at month 30, without noise."""
    x = np.arange(60.0)
    return np.maximum(x[:, None] - 30, 0) * [1.0, -2.0, 0.5] + 0.1 * x[:, None] + [0.0, 5.0, -3.0]


def test_the_table_says_who_is_better(example):
    scoring = example("scoring")
    rng = np.random.default_rng(0)
    ours = [np.exp(0.1 * rng.standard_normal(3)) for _ in range(10)]
    folds = [{"knotwork": (e, 1.0), "worse": (2 * e, 0.5)} for e in ours]
    text = scoring.table(folds, 0.25)
    assert "| 0.50 | 0.50 to 0.50 | 0.50 |" in text
    assert "knotwork is the best, or within the interval of the best" in text
    better = [{"knotwork": (e, 1.0), "better": (e / 2, 0.5)} for e in ours]
    assert "better than knotwork beyond the interval: better" in scoring.table(better, 0.25)
    noisy = [{"knotwork": (e, 1.0), "noisy": (e * np.exp(rng.standard_normal()), 0.5)} for e in ours]
    assert "within the interval" in scoring.table(noisy, 0.25)


def test_the_interval_is_corrected_for_shared_rows(example):
    scoring = example("scoring")
    logs = np.array([0.1, -0.2, 0.3, 0.0])
    folds = [{"knotwork": (np.exp([one]), 0.0), "it": (np.ones(1), 0.0)} for one in logs]
    # t(3, .975) = 3.182446
    reach = 3.182446 * logs.std(ddof=1) * np.sqrt(1 / 4 + 1 / 3)
    low, high = np.exp(logs.mean() - reach), np.exp(logs.mean() + reach)
    assert f"| {np.exp(0.05):.2f} | {low:.2f} to {high:.2f} |" in scoring.table(folds, 1 / 3)


def test_errors_are_of_held_out_labels_over_the_variance_of_all(example):
    Y = np.array([[0.0, 1.0], [2.0, np.nan], [4.0, 3.0]])
    held = np.array([[True, False], [False, False], [False, True]])
    found = example("scoring").held_out_errors(Y, np.full((3, 2), 1.0), held)
    np.testing.assert_allclose(found, [1 / (8 / 3), 4 / 1.0])


def test_a_missing_package_is_said_in_one_line(example, capsys):
    kept = example("scoring").available({"ours": None, "theirs": "no_such_package_here"})
    assert kept == ["ours"]
    assert capsys.readouterr().out == "left out: theirs; pip install no_such_package_here\n"


def test_gaps_between_bends_are_filled(example, kinked):
    employment = example("employment")
    cut = kinked.copy()
    cut[10:20, 0] = cut[40:50, 1] = np.nan
    np.testing.assert_allclose(employment.together(cut), kinked, atol=0.05)
    np.testing.assert_allclose(employment.interpolated(cut), kinked, atol=1e-9)


def test_a_draw_cuts_two_gaps_out_of_every_series(example, monkeypatch, kinked):
    employment, seen = example("employment"), []
    monkeypatch.setattr(employment, "METHODS", {"spy": (lambda Y: seen.append(Y) or kinked, None)})
    for seed in range(20):
        employment.one_draw(kinked, seed, ["spy"])
    for Y in seen:
        gone = np.isnan(Y)
        assert (gone.sum(axis=0) == 2 * employment.GAP).all()
        assert (np.diff(gone.astype(int), axis=0) == 1).sum(axis=0).tolist() == [2, 2, 2]
        assert not gone[[0, -1]].any()
    assert len({np.isnan(Y).tobytes() for Y in seen}) == 20


def test_neighbouring_knots_count_as_one_bend(example):
    location = np.array([3.0, 10.0, 11.0, 30.0])
    network = kw.ReLUNetwork(np.ones((4, 1)), -location, np.array([[0.1], [2.0], [2.0], [1.0]]))
    employment = example("employment")
    np.testing.assert_allclose(employment.strongest(network, 2), [10.5, 30.0])
    assert employment.months(np.array([0.0, 23.4])) == ["2006-01", "2007-12"]
    bends = {"one": [np.array([23.0, 44.0])], "each": [np.array([20.0]), np.array([28.0]), np.array([23.0])]}
    rows = employment.dates_table(bends).splitlines()
    assert rows[2:] == [
        "| one | 0.0 | 3.0 | 2007-12, 2009-09 |",
        "| each | 3.0 | 18.0 | 3 lists; medians |",
    ]


def test_ruptures_finds_the_bend(example, monkeypatch, kinked):
    pytest.importorskip("ruptures")
    employment = example("employment")
    monkeypatch.setattr(employment, "MOST_BENDS", 3)
    np.testing.assert_allclose(employment._ruptures(kinked, range(1, 2))[0], [30.0])
    cut = kinked + 0.01 * np.random.default_rng(0).standard_normal(kinked.shape)
    cut[40:50, 1] = np.nan
    np.testing.assert_allclose(employment.change_points(cut), kinked, atol=0.05)


def test_pwlf_finds_the_bend(example, kinked):
    pytest.importorskip("pwlf")
    cut = kinked.copy()
    cut[40:50, 1] = np.nan
    np.testing.assert_allclose(example("employment").pieces(cut), kinked, atol=0.01)


def test_a_fold_of_the_fibres_scores_the_rows_held_out(example, monkeypatch):
    from sklearn.linear_model import LinearRegression

    pulp = example("pulp_fiber")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((24, 4))
    Y = np.maximum(X @ [1.0, 1, 0, 0], 0)[:, None] * [1.0, -1, 2, 3] + X @ rng.standard_normal((4, 4))
    methods = {"knotwork": kw.MultiTaskReLURegressor(lam_ratio=0.05), "linear": LinearRegression()}
    monkeypatch.setattr(pulp, "methods", lambda: methods)
    scores = pulp.one_fold(X, Y, np.arange(18), np.arange(18, 24))
    assert scores["knotwork"][0].shape == (4,)
    assert scores["knotwork"][0].mean() < 0.5 * scores["linear"][0].mean()
    assert pulp.picture(_fitted(X, Y), X, Y).axes[0].get_xlabel() == "neurons, strongest first"


def _fitted(X, Y):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), kw.MultiTaskReLURegressor(lam_ratio=0.05)).fit(X, Y)


def test_every_known_label_of_the_mammals_is_held_out_once_a_repeat(example):
    mammals = example("mammals")
    Y = np.where(np.random.default_rng(1).uniform(size=(40, 3)) < 0.2, np.nan, 1.0)
    tests = mammals.folds(Y, 2)
    assert len(tests) == 10
    for part in (tests[:5], tests[5:]):
        np.testing.assert_array_equal(np.sum(part, axis=0), ~np.isnan(Y))
    assert any((a != b).any() for a, b in zip(tests[:5], tests[5:], strict=True))


def test_every_method_fills_missing_labels_of_linear_tasks(example):
    mammals = example("mammals")
    rng = np.random.default_rng(2)
    X = rng.standard_normal((40, 2))
    truth = X @ rng.standard_normal((2, 3)) + 0.01 * rng.standard_normal((40, 3))
    Y = truth.copy()
    Y[rng.uniform(size=Y.shape) < 0.2] = np.nan
    for method in (mammals.imputer, mammals.ridge, mammals.gaussian_process):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.testing.assert_allclose(method(X, Y), truth, atol=0.3)


def test_gpytorch_fills_them_too(example):
    pytest.importorskip("gpytorch")
    mammals = example("mammals")
    rng = np.random.default_rng(2)
    X = rng.standard_normal((30, 2))
    truth = X @ rng.standard_normal((2, 3))
    Y = truth.copy()
    Y[rng.uniform(size=Y.shape) < 0.2] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = mammals.multitask_process(X, Y)
    assert np.sqrt(np.mean((found - truth)[np.isnan(Y)] ** 2)) < 0.3


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_page_shows_the_picture_the_command_and_five_lines(name):
    page = ROOT / "docs" / "examples" / f"{name.replace('_', '-')}.md"
    if not page.exists():
        pytest.skip("no pages beside the tests")
    text, picture = page.read_text(encoding="utf-8"), page.parent / f"{PAGES[name]}.png"
    assert f"]({picture.name})" in text
    assert 5_000 < picture.stat().st_size < 150_000
    assert f"python examples/{name}.py" in text
    assert re.search(r"\| knotwork \| [\d.]+ \|", text)
