"""Paper A's recipes: what lambda stands for in each reading."""

from __future__ import annotations

import numpy as np
import pytest

import knotwork as kw


@pytest.mark.parametrize(
    ("reading", "lam"),
    # 8 rows, 101 tasks, 5 labels missing
    [("all", 1e-3 * 803 / 2), ("rows", 1e-3 * 8 / 2), ("none", 1e-3 / 2), ("(2)", 2e-3), ("(3)", 1e-3)],
)
def test_lambda_in_every_reading(reading, lam):
    Y = np.zeros((8, 101))
    Y[2, :5] = np.nan
    recipe = kw.train.RECIPES["multivariate"]
    problem = recipe.problem(np.arange(16.0).reshape(8, 2), Y, reading)
    assert problem.lam == pytest.approx(lam, rel=1e-14)
    assert problem.penalty == kw.Penalty(False, "none")
    assert recipe.width == 800


def test_the_numbers_of_the_paper():
    numbers = {name: (recipe.width, recipe.lam) for name, recipe in kw.train.RECIPES.items()}
    assert numbers == {"univariate": (20, 1e-5), "multivariate": (800, 1e-3), "teachers": (800, 1e-4)}
    assert kw.train.RECIPES["univariate"].penalty.skip == "free"


def test_another_reading_is_refused():
    with pytest.raises(ValueError, match="reading"):
        kw.train.RECIPES["univariate"].problem([0.0, 1.0], [0.0, 1.0], "mean")
