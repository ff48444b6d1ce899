from __future__ import annotations

import pytest

import knotwork as kw
from knotwork.losses import Squared, resolve_loss
from knotwork.penalty import PENALTIES, as_penalty


def test_a_number_after_the_name_is_the_parameter():
    assert resolve_loss("huber:0.5") == kw.Huber(0.5)
    assert resolve_loss("quantile:0.9") == kw.Quantile(0.9)
    assert resolve_loss("huber") == kw.Huber()
    assert resolve_loss(["quantile:0.1", "squared"]).losses == (kw.Quantile(0.1), Squared())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("huber:", "loss: '' in 'huber:' is no number"),
        ("huber:-1", "delta: must be"),
        ("quantile:1.5", "tau: must be"),
        ("squared:1", "loss: 'squared' takes no number, got 'squared:1'"),
        ("cubic:1", "loss: got 'cubic:1', which is not a loss; choose one of"),
    ],
)
def test_names_with_wrong_numbers_are_refused(name, message):
    with pytest.raises(ValueError, match=message):
        resolve_loss(name)


def test_penalties_have_names():
    assert as_penalty("all-skip") == kw.Penalty(True, "frobenius")
    assert as_penalty("auto", "weights") == PENALTIES["weights"]
    own = kw.Penalty(True, "nuclear")
    assert as_penalty(own) is own
    assert len(set(PENALTIES.values())) == len(PENALTIES) == 5
    with pytest.raises(ValueError, match=r"penalty: must be .*got 'auto'"):
        as_penalty("auto")
