from __future__ import annotations

import os

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

import knotwork as kw
from knotwork.report.pictures import draw_certificate, draw_path, draw_solution_set, save_figure

PENALISED = kw.Penalty(True, "none")
LABELS = {"fit": "#0072b2", "data": "#9a9a9a"}
STAIRS = np.array([0.0, 0.0, 1.0, 3.0, 6.0, 6.0, 5.0, 7.0])


def noisy_kinks(n_rows=40, n_tasks=2, seed=0, missing=0.0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1.0, 2.0, n_rows)
    Y = np.abs(x[:, None] - 0.4) * rng.standard_normal(n_tasks) + 0.3 * rng.standard_normal((n_rows, n_tasks))
    Y[rng.uniform(size=Y.shape) < missing] = np.nan
    return x, Y


def solved(penalty=None):
    x, Y = noisy_kinks()
    return kw.solve(kw.Problem(x, Y, 0.3, penalty=penalty or kw.Penalty()))


def drawn(axes, colour):
    return [line for line in axes.lines if to_hex(line.get_color()) == colour]


def texts_of(figure):
    return {text.get_text(): text for text in figure.findobj(match=lambda a: hasattr(a, "get_parse_math"))}


@pytest.mark.parametrize(
    ("n_tasks", "shown", "panels"), [(1, None, 1), (3, None, 3), (9, None, 6), (9, [8, 2], 2), (4, None, 4)]
)
def test_solution_sets_of_few_and_many_tasks(n_tasks, shown, panels):
    x = np.arange(8.0)
    Y = np.outer(STAIRS, np.linspace(-2.0, 1.0, n_tasks)) + np.outer(x, np.arange(n_tasks))
    found = kw.uniqueness(x, Y)
    figure = draw_solution_set(found.solution_set, x, Y, shown=shown)
    assert len(figure.axes) == panels
    tasks = list(range(panels)) if shown is None else shown
    for axes, t in zip(figure.axes, tasks, strict=True):
        assert axes.get_title(loc="left") == f"task {t}"
        (band,) = axes.collections
        edge = band.get_paths()[0].vertices
        inside = edge[(edge[:, 0] > 0.0) & (edge[:, 0] < 7.0)]
        lower, upper = (side[:, t] for side in found.solution_set.envelopes(inside[:, 0]))
        distance = np.minimum(np.abs(inside[:, 1] - lower), np.abs(inside[:, 1] - upper))
        np.testing.assert_allclose(distance, 0.0, atol=1e-9)
        # both sides are there, and differ where solutions do
        assert np.ptp(edge[np.isclose(edge[:, 0], 4.5), 1]) == pytest.approx(
            float(np.ptp(found.solution_set.envelopes([4.5]), axis=0)[0, t])
        )
        (data,) = drawn(axes, LABELS["data"])
        np.testing.assert_allclose(np.column_stack(data.get_data()), np.column_stack([x, Y[:, t]]))
        lines = [line for line in drawn(axes, LABELS["fit"]) if len(line.get_xdata()) > 1]
        assert len(lines) == 6
        for line in lines:
            at, height = (np.asarray(part) for part in line.get_data())
            np.testing.assert_allclose(np.interp(x, at, height), Y[:, t], atol=1e-9)
    (said,) = (text for text in texts_of(figure) if text.startswith("solutions with at least"))
    assert f"{found.solution_set.n_knots_min} knots" in said
    assert ("tasks drawn" in said) == (panels < n_tasks)


def test_a_single_solution_missing_labels_and_open_slopes():
    x = np.arange(4.0)
    single = kw.uniqueness(x, [0.0, 1.0, 0.0, 1.0])
    figure = draw_solution_set(single.solution_set, x, [0.0, 1.0, 0.0, 1.0])
    assert any(text.startswith("one solution, with 2 knots") for text in texts_of(figure))
    # task 1 has one label: any line through it costs nothing
    Y = np.column_stack([[0.0, 1.0, 0.0, 1.0], [np.nan, 2.0, np.nan, np.nan]])
    figure = draw_solution_set(kw.uniqueness(x, Y).solution_set, x, Y)
    (band,) = figure.axes[1].collections
    edge = band.get_paths()[0].vertices
    assert np.all(np.isfinite(edge))
    np.testing.assert_allclose(
        [edge[:, 1].min(), edge[:, 1].max()], figure.axes[1].get_ylim(), rtol=1e-12, atol=1e-12
    )
    (data,) = drawn(figure.axes[1], LABELS["data"])
    np.testing.assert_allclose(np.column_stack(data.get_data()), [[1.0, 2.0]])
    x = np.array([0, 1, 2.5, 4, 5])
    Y = np.column_stack([2 * x + 1, [0, 0, np.nan, 6, 10]])
    found = kw.uniqueness(x, Y)
    figure = draw_solution_set(found.solution_set, x, Y)
    edge = figure.axes[1].collections[0].get_paths()[0].vertices
    at = edge[np.isclose(edge[:, 0], 2.5), 1]
    np.testing.assert_allclose([at.min(), at.max()], [0.0, 3.0], atol=1e-6)


def test_one_row_has_a_picture():
    found = kw.uniqueness([1.0], [[2.0]])
    assert len(draw_solution_set(found.solution_set, [1.0], [[2.0]]).axes) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Y": np.zeros((8, 2))}, "Y: must have shape"),
        ({"X": np.arange(7.0)}, "Y: must have shape"),
        ({"task_names": ["a", "b"]}, "task_names: must be 1"),
        ({"shown": [1]}, "shown: must be"),
        ({"shown": []}, "shown: must be"),
        ({"axes": []}, "axes: must be 1"),
    ],
)
def test_what_does_not_fit_a_solution_set_is_refused(change, message):
    found = kw.uniqueness(np.arange(8.0), STAIRS)
    given = {"X": np.arange(8.0), "Y": STAIRS, **change}
    with pytest.raises(ValueError, match=message):
        draw_solution_set(found.solution_set, **given)


def bars_of(axes):
    (bars,) = axes.collections
    return np.array(bars.get_segments()), np.array(bars.get_linewidths())


@pytest.mark.parametrize("penalty", [kw.Penalty(), PENALISED], ids=str)
def test_the_path_shows_every_knot_of_every_lam(penalty):
    x, Y = noisy_kinks()
    path = kw.path(kw.Problem(x, Y, 1.0, penalty=penalty), n_lams=12, lam_ratio=1e-2)
    figure = draw_path(path)
    segments, widths = bars_of(figure.axes[0])
    row = 0
    sizes = []
    outside = 0
    for lam, solution in zip(path.lams, path.solutions, strict=True):
        location, jump = solution.network.knots
        seen = (location >= x.min()) & (location <= x.max())
        outside += np.count_nonzero(~seen)
        for place, bend in zip(location[seen], jump[seen], strict=True):
            assert segments[row, 0, 0] > lam > segments[row, 1, 0]
            np.testing.assert_allclose(segments[row, :, 1], place)
            sizes.append(np.linalg.norm(bend))
            row += 1
    assert row == len(segments) > 0
    order = np.argsort(sizes)
    assert np.all(np.diff(widths[order]) >= 0)
    assert widths.max() > widths.min()
    assert ("not drawn" in figure.axes[0].get_title(loc="left")) == (outside > 0)
    (steps,) = drawn(figure.axes[1], LABELS["fit"])
    np.testing.assert_array_equal(
        np.column_stack(steps.get_data()), np.column_stack([path.lams, path.n_knots])
    )
    assert len(figure.axes) == (3 if penalty == kw.Penalty() else 2)
    left, right = figure.axes[0].get_xlim()
    assert left > path.lams[0] > path.lams[-1] > right


def test_criteria_and_their_choices():
    x, Y = noisy_kinks()
    path = kw.path(kw.Problem(x, Y, 1.0), n_lams=12, lam_ratio=1e-2)
    lower = draw_path(path).axes[2]
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in lower.lines}
    np.testing.assert_array_equal(lines["BIC"], path.bic)
    np.testing.assert_array_equal(lines["AIC"], path.aic)
    for panel in draw_path(path).axes:
        marks = {line.get_xdata()[0] for line in panel.lines if line.get_label().startswith("least")}
        assert marks == {path.best("bic").problem.lam, path.best("aic").problem.lam}


def test_cross_validation_and_its_choices():
    x, Y = noisy_kinks()
    problem = kw.Problem(x, Y, 1.0)
    path = kw.path(problem, n_lams=12, lam_ratio=1e-2)
    found = kw.cross_validate(problem, cv=4, n_lams=9, lam_ratio=1e-3)
    figure = draw_path(path, found)
    lower = figure.axes[2]
    (loss,) = drawn(lower, LABELS["fit"])
    np.testing.assert_array_equal(
        np.column_stack(loss.get_data()), np.column_stack([found.lams, found.mean_loss])
    )
    (band,) = lower.collections
    edge = band.get_paths()[0].vertices
    for lam, mean, error in zip(found.lams, found.mean_loss, found.standard_error, strict=True):
        heights = edge[np.isclose(edge[:, 0], lam), 1]
        np.testing.assert_allclose([heights.min(), heights.max()], [mean - error, mean + error])
    for panel in figure.axes:
        marks = {line.get_label().split(",")[0]: line.get_xdata()[0] for line in panel.lines}
        assert marks["least"] == found.lam_min
        assert marks["one standard error"] == found.lam_1se
    left, right = figure.axes[0].get_xlim()
    assert left > found.lams.max()
    assert right < found.lams.min()
    # one fold has no standard error
    one = kw.cross_validate(problem, cv=[(np.arange(30), np.arange(30, 40))], n_lams=5)
    labels = [line.get_label() for line in draw_path(path, one).axes[2].lines]
    assert not any(label.startswith("one standard") for label in labels)


def test_a_path_without_knots_and_one_of_other_loss():
    line = kw.path(kw.Problem(np.arange(5.0), np.arange(5.0), 1.0))
    figure = draw_path(line)
    assert len(bars_of(figure.axes[0])[0]) == 0
    assert len(figure.axes) == 3
    x, Y = noisy_kinks(missing=0.2)
    Y = np.where(np.isnan(Y), np.nan, (Y > 0).astype(float))
    problem = kw.Problem(x, Y, 1.0, loss="logistic")
    path = kw.path(problem, n_lams=5, lam_ratio=1e-1)
    assert len(draw_path(path).axes) == 2
    assert len(draw_path(path, kw.cross_validate(problem, cv=3, n_lams=5, lam_ratio=1e-1)).axes) == 3


def test_text_from_data_stays_literal(tmp_path):
    names = ["$\\alpha$", "_a_b", "<script>alert(1)</script>"]
    x = np.arange(8.0)
    Y = np.outer(STAIRS, [1.0, 2.0, 3.0])
    found = kw.uniqueness(x, Y).solution_set
    path = kw.path(kw.Problem(x, Y, 1.0), n_lams=4)
    figures = [draw_certificate(solved(one), input_name="$x_1$ \n_<b>") for one in (None, PENALISED)]
    figures.append(draw_solution_set(found, x, Y, task_names=names, input_name="$x_1$ \n_<b>"))
    figures.append(draw_path(path, input_name="$x_1$ \n_<b>"))
    for k, figure in enumerate(figures):
        held = [text for said, text in texts_of(figure).items() if "$x_1$ _<b>" in said or said in names]
        assert len(held) == (4 if k == 2 else 1)
        assert not any(text.get_parse_math() for text in held)
        save_figure(figure, tmp_path / "figure.svg")
        assert "<script>" not in (tmp_path / "figure.svg").read_text()


def test_given_axes_are_drawn_on():
    solution = solved()
    figure = Figure()
    upper, *lower = figure.subplots(4, 1)
    assert draw_certificate(solution, axes=upper) is figure
    assert len(upper.lines) == 2
    path = kw.path(kw.Problem(np.arange(8.0), STAIRS, 1.0), n_lams=4)
    assert draw_path(path, axes=lower) is figure
    assert len(figure.axes) == 4
    with pytest.raises(ValueError, match="axes: must be 3"):
        draw_path(path, axes=lower[:2])
    found = kw.uniqueness(np.arange(8.0), STAIRS).solution_set
    part = figure.add_subfigure(figure.add_gridspec(1, 1)[0]).subplots()
    assert draw_solution_set(found, np.arange(8.0), STAIRS, axes=[part]) is figure


@pytest.mark.parametrize("ending", ["png", "svg", "pdf", "PNG"])
def test_files_are_written_whole(tmp_path, ending):
    path = tmp_path / f"figure.{ending}"
    save_figure(draw_certificate(solved()), path)
    assert os.listdir(tmp_path) == [path.name]
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending.lower()]
    assert path.read_bytes().startswith(start)
    if ending == "png":
        with Image.open(path) as picture:
            assert picture.size == (750, 400)


def test_an_old_file_survives(tmp_path, monkeypatch):
    path = tmp_path / "figure.png"
    path.write_text("old")
    figure = draw_certificate(solved())
    with pytest.raises(ValueError, match=r"path: must end in \.png, \.svg, \.pdf"):
        save_figure(figure, tmp_path / "figure.doc")
    with pytest.raises(OSError, match="cannot be written"):
        save_figure(figure, path / "figure.png")

    def fails(self, place, **options):
        place.write_text("half")
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(Figure, "savefig", fails)
    with pytest.raises(RuntimeError, match="full"):
        save_figure(figure, path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["figure.png"]
