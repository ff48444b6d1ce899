"""NTK and mean-field scaling: tasks decouple under one as the width grows, and not under the other."""

from __future__ import annotations

import numpy as np
import pytest

import knotwork as kw
from knotwork.theory.scalings import _kernel_descent, scaling_experiment


@pytest.fixture(scope="module")
def experiment():
    return scaling_experiment(widths=(32, 512), n_seeds=2, steps=1500)


def test_under_ntk_scaling_tasks_decouple_like_one_over_the_root_of_the_width(experiment):
    assert 0.3 < experiment.ntk_rate < 0.8
    assert experiment.ntk_joint_minus_separate[-1].max() < 0.5 * experiment.ntk_joint_minus_separate[0].min()


def test_under_mean_field_scaling_they_do_not(experiment):
    assert experiment.mean_field_rate < 0.2
    assert experiment.mean_field_joint_minus_separate[-1].min() > 0.2
    assert experiment.ratio_at_widest > 2
    np.testing.assert_allclose(
        experiment.ratio_at_widest,
        np.sqrt(
            experiment.mean_field_joint_minus_separate[-1].prod()
            / experiment.ntk_joint_minus_separate[-1].prod()
        ),
    )


def test_the_kernel_is_the_limit_of_one_and_not_of_the_other(experiment):
    assert 0.3 < experiment.ntk_to_kernel_rate < 0.8
    assert experiment.ntk_to_kernel[-1].max() < 0.5 < experiment.mean_field_to_kernel.min()
    assert experiment.rate(experiment.mean_field_to_kernel) < 0.15
    # all of them fit the data
    assert experiment.kernel_label_error < 0.01
    assert experiment.ntk_label_error.max() < 0.1
    assert experiment.mean_field_label_error.max() < 0.1


def test_steps_with_the_kernel_are_descent():
    rng = np.random.default_rng(0)
    K, Y = kw.neural_tangent_kernel(rng.standard_normal((5, 2))), rng.standard_normal((5, 2))
    f = np.zeros_like(Y)
    for _ in range(37):
        f = f - 0.01 * K @ (f - Y)
    np.testing.assert_allclose(K @ _kernel_descent(K, Y, 0.01, 37), f, atol=1e-12)


def test_without_steps_nothing_differs():
    rest = scaling_experiment(widths=(4, 8), n_seeds=1, steps=0)
    assert not rest.ntk_joint_minus_separate.any()
    assert not rest.mean_field_to_kernel.any()
    assert rest.kernel_label_error == rest.ntk_label_error[0, 0] > 0


def test_a_power_of_the_width_has_its_rate(experiment):
    values = experiment.widths[:, None] ** -0.25 * np.array([1.0, 7.0])
    assert experiment.rate(values) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("widths", (64,)),
        ("widths", (64, 64)),
        ("n_seeds", 0),
        ("n_tasks", 1),
        ("n_points", 0),
        ("steps", -1),
        ("small", 0.0),
        ("random_state", -1),
    ],
)
def test_errors_name_the_argument(name, value):
    with pytest.raises(ValueError, match=f"^{name}: "):
        scaling_experiment(**({"widths": (4, 8), "steps": 1} | {name: value}))
