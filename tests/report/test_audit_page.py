from __future__ import annotations

import io
import math
import re
from dataclasses import replace
from fractions import Fraction
from html import escape

import numpy as np
import pytest
from html_reader import Reader
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex

import knotwork as kw
from knotwork.auditing.case import Case
from knotwork.dual_norm import Rigour
from knotwork.report import audit_display, displays
from knotwork.report.audit_page import audit_page
from knotwork.report.audit_pictures import draw_audit_fits, draw_sharing
from knotwork.report.audit_words import improvement, objective_rows, percent_up, verdict

ALL = kw.Penalty(True, "none")
NAMES = ("<b>bold</b>", "a & $b$", 'quote "q"')


def case_of(n=30, d=1, n_tasks=2, K=6, loss="squared", lam=0.3, penalty=ALL, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 2, (n, d))
    Y = np.abs(X[:, :1] - 0.4) * rng.standard_normal(n_tasks) + 0.1 * rng.standard_normal((n, n_tasks))
    if loss == "logistic":
        Y = (rng.uniform(size=Y.shape) < 0.5).astype(float)
    network = kw.ReLUNetwork(
        rng.standard_normal((K, d)), rng.standard_normal(K), 0.5 * rng.standard_normal((K, n_tasks))
    )
    problem = kw.Problem(X, Y, lam, loss, penalty)
    names = tuple(NAMES[t % 3] + str(t) for t in range(n_tasks))
    return Case(
        network, problem, "<i>m</i>.pt", "t<br>", tuple(f"x<{k}>" for k in range(d)), names, ("how <so>",)
    )


def audited(**options):
    case = case_of(**options)
    return kw.audit(case.network, case.problem), case


def heuristic(found):
    return replace(
        found,
        certificate=replace(found.certificate, rigour=Rigour.HEURISTIC, bound=0.5 * found.certificate.dual),
        uniqueness=None,
    )


@pytest.mark.parametrize(
    "options", [{}, {"d": 2}, {"n_tasks": 1}, {"loss": "logistic"}, {"n_tasks": 9, "d": 3}]
)
def test_a_page_says_all_of_it_and_escapes_every_name(options):
    found, case = audited(**options)
    page = Reader(audit_page(found, case))
    assert page.said("h1") == ["Audit of <i>m</i>.pt on t<br>"]
    assert page.said("p")[0] == verdict(found)
    assert page.said("h2") == [
        "Objectives",
        "Fits",
        "Sharing",
        "Neurons",
        "Is there one solution only?",
        "How it was measured",
        "Versions",
    ]
    text = " ".join(page.said("li"))
    assert "how <so>" in text
    for name in (*case.input_names, *case.task_names):
        assert name in text
    assert {"i", "b", "br", "script", "link", "a"}.isdisjoint({tag for tag, _ in page.tags})
    pictures = page.all("img")
    assert len(pictures) == (1 if found.problem.n_tasks == 1 else 2)
    for attrs in pictures:
        assert attrs["alt"]
        assert attrs["src"].startswith("data:")
    assert f"{found.objectives.given:.10g}" in page.said("td")
    assert kw.__version__ in page.said("p")[-1]


def test_the_verdict_comes_first_and_is_the_distance():
    found, case = audited()
    words = verdict(found)
    assert "EXACT" in words
    assert "above the global optimum" in words
    share = float(words.split("at most ")[1].split(" %")[0]) / 100
    assert found.excess <= share <= found.excess * 1.011
    page = audit_page(found, case)
    assert page.index(words) < page.index("<h2>")


def test_a_heuristic_bound_is_never_called_optimal():
    found, case = audited(d=2)
    searched = heuristic(found)
    text = audit_page(searched, case)
    assert "optimal" not in text.lower()
    assert "HEURISTIC" in verdict(searched)
    assert "no unit neuron was found that responds more than lam" in text
    assert "no unit neuron responds" not in text
    proven = percent_up(2 * (1 + found.excess) - 1)
    assert f"What is proven: at most {proven}" in verdict(searched)
    # a bound of 0 proves nothing, and is not shown as a distance
    nothing = replace(searched, certificate=replace(searched.certificate, bound=0.0))
    assert "No bound above 0 is proven" in verdict(nothing)
    assert "∞" not in audit_page(nothing, case)


def test_verdicts_without_a_ratio():
    problem = kw.Problem([0.0, 1.0, 2.0], [1.0, 2.0, 3.0], 0.1)
    found = kw.audit(kw.ReLUNetwork([[1.0]], [0.0], [[1.0]]), problem)
    assert "its whole objective" in verdict(found)
    assert {row[3] for row in objective_rows(found)} == {""}
    missed = kw.audit(kw.ReLUNetwork([[1.0]], [0.0], [[1.0]]), problem.with_lam(0.0))
    assert "misses one by 1" in verdict(missed)
    assert "A network of objective" in improvement(missed)


def test_an_optimal_network_is_not_improved_in_words():
    found, _ = audited()
    best = kw.audit(found.improved, found.problem)
    assert "no more than a millionth better" in improvement(best) or best.improved is best.network
    same = replace(best, improved=best.network)
    assert improvement(same) == "No better network was found."


@given(st.floats(1e-300, 1e6))
def test_percentages_are_rounded_up(share):
    said = Fraction(percent_up(share).removesuffix(" %")) / 100
    assert Fraction(share) <= said * (1 + Fraction(1, 10**15))
    assert said <= Fraction(share) * Fraction(1011, 1000)


def test_round_percentages():
    assert percent_up(0.0) == "0 %"
    assert percent_up(0.0012301) == "0.124 %"
    assert percent_up(0.5) == "50 %"
    assert percent_up(1.0000001) == "101 %"
    assert percent_up(math.inf) == "∞ %"


def test_curves_are_the_two_networks():
    found, case = audited(n_tasks=3)
    figure = draw_audit_fits(found, case.input_names, case.task_names)
    assert len(figure.axes) == 3
    for t, axes in enumerate(figure.axes):
        lines = {line.get_label(): line for line in axes.lines}
        for name, network in (("as given", found.network), ("improved", found.improved)):
            x, y = lines[name].get_data()
            np.testing.assert_allclose(y, network.predict(x)[:, t], atol=1e-12)
            at, height = lines[f"its knots, {name}"].get_data()
            inside = np.abs(network.knots.location - 0.5) < 1.6
            assert set(np.round(network.knots.location[inside], 9)) <= set(np.round(at, 9))
            np.testing.assert_allclose(height, network.predict(at)[:, t], atol=1e-12)
        seen = np.column_stack(lines["labels"].get_data())
        np.testing.assert_array_equal(seen, np.column_stack([found.problem.X[:, 0], found.problem.Y[:, t]]))


def test_predictions_against_labels_and_log_odds_as_probabilities():
    found, case = audited(d=2, loss="logistic", n_tasks=7)
    figure = draw_audit_fits(found, case.input_names, case.task_names)
    assert len(figure.axes) == 6
    lines = {line.get_label(): line for line in figure.axes[2].lines}
    y, f = lines["as given"].get_data()
    np.testing.assert_array_equal(y, found.problem.Y[:, 2])
    np.testing.assert_allclose(f, 1 / (1 + np.exp(-found.network.predict(found.problem.X)[:, 2])))


def test_classes_are_drawn_as_probabilities():
    rng = np.random.default_rng(0)
    Y = rng.dirichlet(np.ones(3), 20)
    problem = kw.Problem(rng.uniform(-1, 1, 20), Y, 0.5, "multinomial", ALL)
    network = kw.ReLUNetwork([[1.0], [-1.0]], [0.0, 0.2], rng.standard_normal((2, 3)))
    figure = draw_audit_fits(kw.audit(network, problem), ("x",), ("a", "b", "c"))
    shown = [next(line for line in axes.lines if line.get_label() == "as given") for axes in figure.axes]
    np.testing.assert_allclose(sum(line.get_ydata() for line in shown), 1.0)
    scores = np.exp(network.predict(shown[0].get_xdata()))
    np.testing.assert_allclose(shown[1].get_ydata(), scores[:, 1] / scores.sum(axis=1))


def test_the_heat_map_is_the_sharing_of_living_neurons_by_cost():
    found, case = audited(n_tasks=3, K=12, seed=4)
    figure = draw_sharing(found, case.task_names)
    (image,) = figure.axes[0].images
    alive = np.setdiff1d(np.arange(12), found.neurons.dead)
    assert 0 < len(found.neurons.dead) < 12
    order = alive[np.argsort(-found.network.neuron_costs(ALL)[alive])]
    V = found.network.V[order].T
    np.testing.assert_allclose(image.get_array(), V**2 / np.sum(V**2, axis=0), atol=1e-15)
    assert [int(label.get_text()) for label in figure.axes[0].get_xticklabels()] == order.tolist()
    # dark is much
    assert to_hex(image.cmap(image.norm(0.0))) == "#ffffff"
    assert to_hex(image.cmap(image.norm(1.0))) == "#0072b2"


def test_the_table_of_neurons_has_the_costliest_first_and_remarks():
    W, b = [[1.0], [2.0], [1.0], [1.0], [1.0]], [0.5, 1.0, -9.0, 0.2, -0.1]
    V = [[0.1, 0.1], [0.5, 0.0], [1.0, 1.0], [0.0, 0.3], [2.0, 1.0]]
    case = case_of()
    found = kw.audit(kw.ReLUNetwork(W, b, V), case.problem)
    text = audit_page(found, case)
    body = text[text.index("<h2>Neurons</h2>") :].split("<tbody>")[1].split("</tbody>")[0]
    rows = [re.findall("<t[hd][^>]*>(.*?)</t[hd]>", row) for row in body.split("</tr>")[:-1]]
    cost = found.network.neuron_costs(ALL)
    assert [int(row[0]) for row in rows] == np.argsort(-cost).tolist() == [2, 4, 1, 3, 0]
    assert [row[-1] for row in rows] == ["dead", "shared", "the same as 0", "", "shared"]
    assert [row[1] for row in rows] == ["9", "0.1", "-0.5", "-0.2", "-0.5"]
    for (k, _, share, active, leader, _), task in zip(rows, [0, 0, 0, 1, 0], strict=True):
        assert share == f"{100 * cost[int(k)] / cost.sum():.3g} %"
        reached = found.problem.X[:, 0] * W[int(k)][0] + b[int(k)] > 0
        assert active == f"{100 * reached.mean():.3g} %"
        assert leader == escape(case.task_names[task])


def test_wide_networks_and_many_tasks_fit():
    found, case = audited(n=60, n_tasks=50, K=150)
    figure = draw_sharing(found, case.task_names)
    assert figure.axes[0].images[0].get_array().shape == (50, 120)
    page = Reader(audit_page(found, case))
    assert any("the 40 costliest of 150 neurons" in text for text in page.said("caption"))


def test_the_console_says_the_same(monkeypatch):
    found, case = audited()
    written = io.StringIO()
    make = displays.console

    def console():
        terminal = make()
        terminal.file = written
        return terminal

    monkeypatch.setattr(audit_display, "console", console)
    audit_display.show_audit(found, case, [])
    said = written.getvalue()
    assert said.startswith("verdict  " + verdict(found))
    assert "how <so>" in said
    assert "wrote" not in said
    for name, value, *_ in objective_rows(found):
        assert any(
            line.split()[0] == name.split()[0] and f"{value:.10g}" in line for line in said.splitlines()
        )
    written.truncate(0)
    audit_display.show_audit(heuristic(found), case, [])
    assert "optimal" not in written.getvalue().lower()
