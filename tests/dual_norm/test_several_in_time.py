"""Exact passes that run out of time, and answers that are given again."""

from __future__ import annotations

import numpy as np
import pytest
from references_several import project_free

import knotwork as kw
from knotwork.dual_norm.several import UnitNeurons
from knotwork.penalty import Penalty

FREE, PLAIN, BIASES = Penalty(), Penalty(False, "none"), Penalty(True, "none")
EXACT, HEURISTIC = kw.Rigour.EXACT, kw.Rigour.HEURISTIC


def dual_point(seed, X, penalty, r=2):
    alpha = np.random.default_rng(seed).standard_normal((len(X), r))
    return alpha if penalty.biases else project_free(X, alpha, penalty.skip)


def draw(seed, n, d, penalty, r=2):
    X = np.random.default_rng(1000 + seed).standard_normal((n, d))
    return X, dual_point(seed, X, penalty, r)


LONG = [(160, 2, PLAIN), (70, 2, BIASES), (12, 3, FREE), (9, 4, PLAIN), (8, 3, BIASES)]


@pytest.mark.parametrize(("n", "d", "penalty"), LONG)
def test_an_exact_pass_cut_short_is_a_search(n, d, penalty):
    X, alpha = draw(2, n, d, penalty)
    exact = UnitNeurons(X, penalty).maximise(alpha)
    assert exact.rigour is EXACT
    seen = set()
    for patience in (0, 1, 2, 3, 5, 8, 10**9):
        asked = []

        def out_of_time(asked=asked, patience=patience):
            asked.append(1)
            return len(asked) > patience

        found = UnitNeurons(X, penalty, out_of_time=out_of_time).maximise(alpha)
        seen.add(found.rigour)
        assert found.rigour in (EXACT, HEURISTIC)
        assert 0.5 * exact.proven <= found.values[0] <= exact.proven * (1.0 + 1e-9)
        assert found.proven >= exact.proven * (1.0 - 1e-9)
        if found.rigour is EXACT:
            assert found.proven == pytest.approx(exact.proven, rel=1e-12)
        if patience == 0:
            assert found.rigour is HEURISTIC
    assert seen == {EXACT, HEURISTIC}


def test_what_was_cut_short_is_done_when_there_is_time():
    X, alpha = draw(3, 9, 4, PLAIN)
    up = [True]
    units = UnitNeurons(X, PLAIN, out_of_time=lambda: up[0])
    assert units.method == "search"
    assert units.maximise(alpha).rigour is HEURISTIC
    up[0] = False
    assert units.method == "faces"
    assert units.maximise(alpha).rigour is EXACT


@pytest.mark.parametrize(("n", "d", "penalty"), [*LONG, (300, 6, PLAIN), (80, 8, BIASES)])
@pytest.mark.parametrize("r", [2, 10])
def test_the_same_dual_point_is_not_priced_twice(n, d, penalty, r, monkeypatch):
    X, alpha = draw(4, n, d, penalty, r)
    units, calls = UnitNeurons(X, penalty), []
    for name in ("_exact", "search"):
        own = getattr(UnitNeurons, name)

        def counted(self, *arguments, own=own, **options):
            calls.append(1)
            return own(self, *arguments, **options)

        monkeypatch.setattr(UnitNeurons, name, counted)
    first = units.maximise(alpha)
    once = len(calls)
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((r, r)))[0]
    rounded = alpha * (1.0 + 4e-16) if r < n else (alpha @ Q)
    again = units.maximise(rounded)
    assert len(calls) == once
    assert again.proven == pytest.approx(first.proven, rel=1e-11)
    assert again.proven >= first.proven
    assert again.rigour is first.rigour
    other = units.maximise(1.001 * alpha)
    assert len(calls) > once
    assert other.values[0] == pytest.approx(1.001 * first.values[0], rel=1e-6)


def test_an_answer_that_knows_too_little_is_not_given_again():
    X, alpha = draw(5, 9, 4, PLAIN)
    exact = UnitNeurons(X, PLAIN).maximise(alpha)
    units = UnitNeurons(X, PLAIN)
    assert units.maximise(alpha, floor=2.0 * exact.proven).proven == 2.0 * exact.proven
    assert units.maximise(alpha).proven == pytest.approx(exact.proven, rel=1e-12)
    units.search(alpha)
    assert units.maximise(alpha).rigour is EXACT
    few = UnitNeurons(X, PLAIN)
    few.maximise(alpha, n_best=1)
    assert len(few.maximise(alpha).neurons) == len(exact.neurons) > 1


def test_the_best_of_the_last_search_are_climbed_again():
    X, alpha = draw(6, 80, 8, PLAIN)
    units = UnitNeurons(X, PLAIN)
    best = units.search(alpha, n_starts=200).largest
    moved = alpha + 1e-6 * dual_point(7, X, PLAIN)
    assert units.search(moved, n_starts=1).largest >= best * (1.0 - 1e-4)
    assert UnitNeurons(X, PLAIN).search(moved, n_starts=1).largest < best * (1.0 - 1e-4)


def test_a_thorough_search_has_more_starts(monkeypatch):
    counts = []
    own = UnitNeurons._random_starts

    def counted(self, alpha, n):
        counts.append(n)
        return own(self, alpha, n)

    monkeypatch.setattr(UnitNeurons, "_random_starts", counted)
    for n in (80, 300):
        X, alpha = draw(8, n, 8, PLAIN)
        units = UnitNeurons(X, PLAIN)
        units.search(alpha)
        units.search(alpha, thorough=True)
        units.search(alpha, n_starts=7)
        UnitNeurons(X, PLAIN, out_of_time=lambda: True).search(alpha, thorough=True)
    assert counts[0] < counts[1]
    assert counts[4] < counts[5]
    assert counts[2] == counts[6] == 7
    assert max(counts[3], counts[7]) < min(counts[0], counts[4])
