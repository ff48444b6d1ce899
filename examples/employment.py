"""When do 15 series of US employment bend?

    pip install '.[sklearn]' ruptures pwlf
    python examples/employment.py [--draws 10] [--bends 6] [--jobs 2] [--out FOLDER]

Two questions, each answered beside ruptures (change points of all series), pwlf (continuous pieces,
series by series) and trend filtering (the l1 kind, series by series: knotwork with one task):

1. Two gaps of 15 months are cut out of every series, elsewhere in each. How well are they filled?
2. Allowed so many bends a series, how far is the nearest from the peak (December 2007) and the trough (June
   2009) that the NBER dates?

--out draws employment-bends.png there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scoring import OURS, Scores, available, held_out_errors, table

import knotwork as kw

Array = NDArray[np.float64]
FIRST = np.datetime64("2006-01")
NBER = {"peak": np.datetime64("2007-12"), "trough": np.datetime64("2009-06")}
GAP = 15
MOST_BENDS = 20


# what there is to it
def the_five_lines() -> kw.FitResult:
    data = kw.load_dataset("us-employment")
    fit = kw.fit_table(data)  # all series together; lam by cross-validation
    for knot in sorted(fit.knots(), key=lambda knot: -knot.strength)[:5]:
        print(knot.label[:7], "strongest in", ", ".join(knot.leaders))
    print(
        f"relative gap {fit.solution.certificate.relative_gap:.0e}: no network of any width is better by more"
    )
    return fit


# 1. gaps: each method takes labels (120, 15) with NaN and fills them
def together(Y: Array) -> Array:
    x = np.arange(len(Y))[:, None]
    # ten runs of a year are held out to choose lam: about what the gaps are
    return kw.MultiTaskReLURegressor(cv=10).fit(x, Y).predict(x)


def trend_filter(Y: Array) -> Array:
    return np.column_stack([together(y) for y in Y.T])


def interpolated(Y: Array) -> Array:
    x = np.arange(len(Y))
    return np.column_stack([np.interp(x, x[~np.isnan(y)], y[~np.isnan(y)]) for y in Y.T])


def change_points(Y: Array) -> Array:
    """ruptures takes no gaps: it sees them filled by lines, least squares on its knots does not. K by BIC."""
    Z = (Y - np.nanmean(Y, axis=0)) / np.nanstd(Y, axis=0)
    fits = [_least_squares(Z, places) for places in _ruptures(interpolated(Z), range(1, MOST_BENDS + 1))]
    n, T = np.count_nonzero(~np.isnan(Y)), Y.shape[1]
    bic = [
        n * np.log(np.nansum((Z - f) ** 2) / n) + np.log(n) * (T * (k + 2) + k) for k, f in enumerate(fits, 1)
    ]
    return fits[int(np.argmin(bic))] * np.nanstd(Y, axis=0) + np.nanmean(Y, axis=0)


def pieces(Y: Array) -> Array:
    """pwlf with 3 or 5 pieces, by BIC."""
    x = np.arange(len(Y), dtype=float)
    filled = np.empty_like(Y)
    for t, y in enumerate(Y.T):
        seen = ~np.isnan(y)
        fits = [_pwlf(x[seen], y[seen], k) for k in (3, 5)]
        bic = [
            seen.sum() * np.log(fit.ssr / seen.sum()) + np.log(seen.sum()) * 2 * k
            for fit, k in zip(fits, (3, 5), strict=True)
        ]
        filled[:, t] = fits[int(np.argmin(bic))].predict(x)
    return filled


def _ruptures(Y: Array, counts: range) -> list[Array]:
    """Rows of the bends of the best continuous piecewise linear fit, one for each number of bends."""
    import ruptures

    search = ruptures.Dynp(model="clinear", jump=1, min_size=2).fit(Y)
    return [np.array(search.predict(n_bkps=k)[:-1]) - 1.0 for k in counts]


def _pwlf(x: Array, y: Array, k: int):
    import pwlf

    fit = pwlf.PiecewiseLinFit(x, y, seed=0)
    fit.fitfast(k, pop=3)
    return fit


def _least_squares(Y: Array, places: Array) -> Array:
    x = np.arange(len(Y), dtype=float)
    hinges = np.column_stack([np.ones_like(x), x, np.maximum(x[:, None] - places, 0.0)])
    fits = [np.linalg.lstsq(hinges[~np.isnan(y)], y[~np.isnan(y)], rcond=None)[0] for y in Y.T]
    return hinges @ np.column_stack(fits)


METHODS: dict[str, tuple[Callable[[Array], Array], str | None]] = {
    OURS: (together, None),
    "trend filtering, each series": (trend_filter, None),
    "ruptures, all series": (change_points, "ruptures"),
    "pwlf, each series": (pieces, "pwlf"),
    "straight lines over the gaps": (interpolated, None),
}


def one_draw(Y: Array, seed: int, names: list[str]) -> Scores:
    rng = np.random.default_rng(seed)
    held = np.zeros(Y.shape, dtype=bool)
    for t in range(Y.shape[1]):
        # neither touches the other, nor an end of the series
        first, second = np.sort(rng.integers(1, len(Y) - 2 * GAP - 1, size=2))
        held[first : first + GAP, t] = held[second + GAP + 1 : second + 2 * GAP + 1, t] = True
    scores = {}
    for name in names:
        began = time.process_time()
        filled = METHODS[name][0](np.where(held, np.nan, Y))
        scores[name] = held_out_errors(Y, filled, held), time.process_time() - began
    return scores


# 2. dates: the months of so many bends
def strongest(network: kw.ReLUNetwork, count: int) -> Array:
    """Months of the strongest bends: knots two months apart or less are one, at their mean by strength."""
    order = np.argsort(network.knots.location)
    place, jump = network.knots.location[order], network.knots.jump[order]
    strength = np.linalg.norm(jump, axis=1)
    groups = np.split(np.arange(len(place)), np.flatnonzero(np.diff(place) > 2.0) + 1)
    bends = [(np.linalg.norm(jump[g].sum(axis=0)), np.average(place[g], weights=strength[g])) for g in groups]
    return np.sort([place for _, place in sorted(bends)[-count:]])


def bends_of(Y: Array, count: int, names: list[str]) -> dict[str, list[Array]]:
    """For each method the months of its bends: one list for all series, or one for each."""
    Z, x = (Y - Y.mean(axis=0)) / Y.std(axis=0), np.arange(len(Y), dtype=float)

    def ours(labels: Array) -> Array:
        found = kw.cross_validate(kw.Problem(x, labels, 1.0), cv=10, scheme="blocked", rule="1se", n_lams=50)
        return strongest(found.solution.network, count)

    known = {
        OURS: lambda: [ours(Z)],
        "trend filtering, each series": lambda: [ours(z) for z in Z.T],
        "ruptures, all series": lambda: _ruptures(Z, range(count, count + 1)),
        "pwlf, each series": lambda: [_pwlf(x, z, count + 1).fit_breaks[1:-1] for z in Z.T],
    }
    return {name: known[name]() for name in names if name in known}


def months(places: Array) -> list[str]:
    return [str(FIRST + int(np.rint(place))) for place in places]


def dates_table(bends: dict[str, list[Array]]) -> str:
    lines = [
        f"| method | {' | '.join(f'months to the {name}' for name in NBER)} | bends |",
        "|---|---|---|---|",
    ]
    for name, lists in bends.items():
        off = [
            np.median([np.abs(places - (date - FIRST).astype(int)).min() for places in lists])
            for date in NBER.values()
        ]
        shown = ", ".join(months(lists[0])) if len(lists) == 1 else f"{len(lists)} lists; medians"
        lines.append(f"| {name} | {' | '.join(f'{one:.1f}' for one in off)} | {shown} |")
    return "\n".join(lines)


def picture(fit: kw.FitResult) -> Figure:
    """The series, the joint fit, and how strongly it bends in which month."""
    data, figure = fit.table, Figure(figsize=(8, 5), dpi=90, layout="constrained")
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    dates = np.datetime64("2006-01-01") + data.X.ravel().astype(int)
    for t in range(data.n_tasks):
        one = fit.scaling.apply(data.Y)[:, t]
        top.plot(dates, one, ".", ms=2, color=f"C{t % 10}")
        top.plot(dates, fit.solution.network.predict(data.X)[:, t], lw=1, color=f"C{t % 10}")
    days = np.array([knot.place for knot in fit.knots()]).astype(int)
    below.vlines(np.datetime64("2006-01-01") + days, 0, [knot.strength for knot in fit.knots()], color="k")
    for axes in (top, below):
        axes.axvspan(*(np.datetime64(date, "D") for date in NBER.values()), color="0.88", zorder=0)
    top.set_ylabel("employees, standardised")
    below.set_ylabel("strength of bend")
    below.set_ylim(bottom=0)
    return figure


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--bends", type=int, default=6)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    fit = the_five_lines()
    names = available({name: package for name, (_, package) in METHODS.items()})
    Y = fit.table.Y
    draws = Parallel(n_jobs=options.jobs)(delayed(one_draw)(Y, seed, names) for seed in range(options.draws))
    print(f"\n{table(list(draws), 2 * GAP / (len(Y) - 2 * GAP))}")
    print(f"\n{dates_table(bends_of(Y, options.bends, names))}")
    if options.out is not None:
        picture(fit).savefig(options.out / "employment-bends.png")


if __name__ == "__main__":
    main()
