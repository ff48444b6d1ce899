"""Which losses there are, and what is said of those and of labels that there are not."""

from __future__ import annotations

import numpy as np
import pytest

import knotwork as kw
from knotwork.losses import Huber, Logistic, Multinomial, PerTask, Poisson, Quantile, Squared, resolve_loss


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("squared", Squared()),
        ("huber", Huber(1.0)),
        ("logistic", Logistic()),
        ("multinomial", Multinomial()),
        ("poisson", Poisson()),
        ("quantile", Quantile(0.5)),
    ],
)
def test_names_resolve(name, loss):
    assert resolve_loss(name) == resolve_loss(loss) == loss
    assert loss.name == name
    mixed = resolve_loss([name, "squared"]) if name != "multinomial" else None
    assert mixed is None or mixed == PerTask((loss, Squared()))


@pytest.mark.parametrize("loss", ["mse", "", "Huber"])
def test_unknown_losses_name_the_choices(loss):
    with pytest.raises(ValueError, match=r"^loss: .*choose one of squared"):
        resolve_loss(loss)


@pytest.mark.parametrize("loss", [None, 2, abs, [], kw.Huber, ["squared", None]])
def test_what_is_no_loss_is_a_type_error(loss):
    with pytest.raises(TypeError, match=r"^loss: must be a name"):
        resolve_loss(loss)


@pytest.mark.parametrize("loss", [["squared", "multinomial"], ["squared", ["huber", "squared"]]])
def test_what_joins_tasks_cannot_stand_for_one(loss):
    with pytest.raises(ValueError, match=r"^loss: 'multinomial' joins all tasks"):
        resolve_loss(loss)


@pytest.mark.parametrize("make", [kw.Huber, kw.Quantile])
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, None, "1", True, [0.5]])
def test_bad_parameters_are_named(make, value):
    name = "delta" if make is kw.Huber else "tau"
    with pytest.raises((TypeError, ValueError), match=rf"^{name}: must be"):
        make(value)


@pytest.mark.parametrize("tau", [1.0, 1.5])
def test_a_quantile_is_below_one(tau):
    with pytest.raises(ValueError, match=r"^tau: must be above 0 and below 1"):
        kw.Quantile(tau)


@pytest.mark.parametrize(
    ("loss", "Y", "message"),
    [
        (Logistic(), [[0.0], [0.5]], r"^Y: logistic labels are 0 or 1, got 0\.5 at row 1, column 0"),
        (Logistic(), [[0.0, -1.0]], r"got -1\.0 at row 0, column 1"),
        (Poisson(), [[2.5], [-1e-9]], r"^Y: Poisson labels are counts >= 0, got -1e-09 at row 1"),
        (Multinomial(), [[0.5, 0.4]], r"^Y: rows of multinomial labels are probabilities"),
        (Multinomial(), [[1.5, -0.5]], r"^Y: rows of multinomial labels are probabilities"),
        (Multinomial(), [[1.0], [1.0]], r"^Y: has one column.*use 'logistic'"),
        (Multinomial(), [[1.0, 0.0], [np.nan, 1.0]], r"^Y: row 1 is missing in part"),
        (PerTask((Squared(), Logistic())), [[3.0, 3.0]], r"got 3\.0 at row 0, column 0 \(task 1\)"),
        (PerTask((Squared(), Logistic())), [[3.0]], r"^loss: has 2 entries but Y has 1 tasks"),
    ],
)
def test_labels_a_loss_does_not_know_are_named(loss, Y, message):
    with pytest.raises(ValueError, match=message):
        loss.check_labels(np.array(Y))


def test_labels_a_loss_knows_pass():
    missing = np.nan
    Logistic().check_labels(np.array([[0.0, 1.0], [missing, 1.0]]))
    Poisson().check_labels(np.array([[0.0, 2.5], [missing, 1e6]]))
    Multinomial().check_labels(np.array([[0.0, 1.0], [missing, missing], [0.25, 0.75]]))
    PerTask((Squared(), Poisson())).check_labels(np.array([[-3.0, missing]]))
