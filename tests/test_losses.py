from __future__ import annotations

import numpy as np
import pytest

from knotwork.losses import Squared, resolve_loss


def test_squared_loss_is_half_the_square():
    y, f = np.array([[1.0, -2.0], [0.5, 3.0]]), np.array([[0.0, 1.0], [0.5, -1.0]])
    assert np.array_equal(Squared().value(y, f), [[0.5, 4.5], [0.0, 8.0]])


@pytest.mark.parametrize("loss", ["squared", Squared()])
def test_resolves_to_squared(loss):
    assert resolve_loss(loss) == Squared()


@pytest.mark.parametrize("loss", ["mse", ""])
def test_unknown_losses_name_the_choices(loss):
    with pytest.raises(ValueError, match=r"^loss: .*choose one of squared"):
        resolve_loss(loss)


@pytest.mark.parametrize("loss", [None, 2, abs, []])
def test_what_is_no_loss_is_a_type_error(loss):
    with pytest.raises(TypeError, match=r"^loss: must be a name"):
        resolve_loss(loss)
