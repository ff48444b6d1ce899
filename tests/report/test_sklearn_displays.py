import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import knotwork as kw
from knotwork.estimators import MultiTaskReLUClassifier, MultiTaskReLURegressor, SharedKnotTransformer
from knotwork.report.sklearn_displays import (
    CertificateDisplay,
    KnotDisplay,
    PathDisplay,
    SharingDisplay,
    SolutionSetDisplay,
)

DISPLAYS = [CertificateDisplay, KnotDisplay, PathDisplay, SharingDisplay, SolutionSetDisplay]


def data(n=30):
    rng = np.random.default_rng(0)
    x = np.sort(rng.random(n))
    bend = np.maximum(x - 0.4, 0)
    Y = np.column_stack([bend, 100 - 200 * bend]) + np.array([0.01, 2.0]) * rng.standard_normal((n, 2))
    return pd.DataFrame({"dose": x}), Y


@pytest.fixture(scope="module")
def fitted():
    X, Y = data()
    return MultiTaskReLURegressor(n_lams=12, cv=3).fit(X, Y)


def line(panel, label):
    return next(one for one in panel.get_lines() if one.get_label() == label)


@pytest.mark.parametrize("display", DISPLAYS)
def test_every_display_draws_an_estimator_and_its_solution(display, fitted):
    for shown in (display.from_estimator(fitted), display.from_solution(fitted.solution_)):
        assert isinstance(shown, display)
        assert isinstance(shown.figure_, Figure)
        panels = list(np.ravel(np.asarray(shown.ax_, dtype=object)))
        assert all(panel.figure is shown.figure_ for panel in panels)
        shown.figure_.canvas.draw()
    # plot draws again, on axes of the user's
    figure = Figure()
    axes = figure.subplots(len(panels), squeeze=False).ravel()
    again = shown.plot(ax=axes if len(axes) > 1 else axes[0])
    assert again is shown
    assert shown.figure_ is figure
    assert all(panel.has_data() for panel in axes)


def test_knots_are_drawn_in_the_units_of_the_labels(fitted):
    _, Y = data()
    shown = KnotDisplay.from_estimator(fitted, task_names=["up", "down"])
    assert [panel.get_title(loc="left") for panel in shown.ax_] == ["up", "down"]
    assert shown.ax_[0].get_xlabel() == "dose"
    location = fitted.network_.knots.location
    for t, panel in enumerate(shown.ax_):
        np.testing.assert_allclose(line(panel, "labels").get_ydata(), Y[:, t])
        at, height = line(panel, "fit").get_data()
        frame = pd.DataFrame({"dose": at})
        np.testing.assert_allclose(height, fitted.predict(frame)[:, t])
        inside = location[(location > at[0]) & (location < at[-1])]
        np.testing.assert_allclose(line(panel, "knots").get_xdata(), inside)
    scaled = KnotDisplay.from_solution(fitted.solution_)
    np.testing.assert_allclose(
        line(scaled.ax_[1], "labels").get_ydata(), (Y[:, 1] - Y[:, 1].mean()) / Y[:, 1].std()
    )


def test_the_path_shows_the_lams_that_were_chosen(fitted):
    shown = PathDisplay.from_estimator(fitted, n_lams=20)
    assert len(shown.path.lams) == 20
    said = [text.get_text() for text in shown.figure_.legends[0].get_texts()]
    assert any(f"least, lam = {fitted.cross_validation_.lam_min:.3g}" in text for text in said)
    assert len(shown.ax_) == 3
    assert PathDisplay.from_solution(fitted.solution_).cross_validation is None


def test_sharing_is_each_tasks_part_of_a_neuron(fitted):
    shown = SharingDisplay.from_estimator(fitted, task_names=["up", "down"])
    V = fitted.solution_.network.V * np.abs(fitted.solution_.network.W)
    order = np.argsort(-np.linalg.norm(V, axis=1), kind="stable")
    share = (V**2 / np.sum(V**2, axis=1, keepdims=True)).T[:, order]
    np.testing.assert_allclose(shown.sharing, share)
    np.testing.assert_allclose(shown.ax_.get_images()[0].get_array(), share)
    assert [text.get_text() for text in shown.ax_.get_yticklabels()] == ["up", "down"]


def test_several_inputs_have_sharing_only():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 2))
    Y = np.column_stack([np.abs(X[:, 0]), np.abs(X[:, 0]) + X[:, 1]])
    transformer = SharedKnotTransformer(1.0).fit(X, Y)
    shown = SharingDisplay.from_estimator(transformer)
    assert shown.sharing.shape == (2, transformer.regressor_.n_knots_)
    for display in (CertificateDisplay, KnotDisplay, PathDisplay, SolutionSetDisplay):
        with pytest.raises(ValueError, match="has 2 inputs"):
            display.from_estimator(transformer)


def test_a_classifier_shows_its_certificate():
    x = np.linspace(-1, 1, 20)[:, None]
    model = MultiTaskReLUClassifier(0.2).fit(x, np.abs(x[:, 0]) > 0.5)
    title = CertificateDisplay.from_estimator(model).ax_.get_title(loc="left")
    assert f"relative gap {model.duality_gap_:.1g}" in title


def test_what_is_no_solution_is_refused():
    with pytest.raises(TypeError, match="estimator: must be fitted"):
        KnotDisplay.from_estimator(MultiTaskReLURegressor())
    with pytest.raises(TypeError, match=r"solution: must be a knotwork\.Solution"):
        KnotDisplay.from_solution(kw.Penalty())
    with pytest.raises(ValueError, match="task_names: must be 2 names"):
        SharingDisplay(np.ones((2, 1)), np.ones(1), task_names=["one"])
    with pytest.raises(ValueError, match="cost: must be"):
        SharingDisplay(np.ones((2, 1)), np.ones(2))
