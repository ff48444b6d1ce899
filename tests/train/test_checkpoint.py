"""A run that was killed goes on from its file and ends where the whole run ends, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest

import knotwork as kw

WIDTH = 8
METHODS = {
    "adam": (kw.train.adam, {"tol": 0.1}),
    "adam in batches, rebalanced": (kw.train.adam, {"batch_size": 4, "rebalance_every": 25, "tol": 0.2}),
    "pathprox": (kw.train.pathprox, {"tol": 0.1}),
    "monotone": (kw.train.pathprox, {"adaptive": False, "tol": 0.05}),
}


@pytest.fixture
def problem():
    rng = np.random.default_rng(1)
    x = np.sort(rng.uniform(-1, 1, 12))
    return kw.Problem(x, np.column_stack([np.abs(x - 0.2), np.sin(4 * x)]), 0.3)


def assert_bitwise(one, other):
    assert one.steps == other.steps
    for a, b in zip(one, other, strict=True):
        for name in ("W", "b", "V", "A", "c"):
            np.testing.assert_array_equal(getattr(a.network, name), getattr(b.network, name))
        assert [(e.round, e.objective, e.gap, e.n_knots) for e in a.trace] == [
            (e.round, e.objective, e.gap, e.n_knots) for e in b.trace
        ]
        assert a.certificate.primal == b.certificate.primal


def kill_at(step):
    def progress(entry):
        if entry.round == step:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("name", METHODS)
def test_killed_and_resumed_ends_bitwise_in_the_same_place(name, problem, tmp_path):
    method, own = METHODS[name]
    options = {"seeds": 4, "steps": 430, "check_every": 50, **own}
    whole = method(problem, WIDTH, **options)
    path = tmp_path / "run.safetensors"
    with pytest.raises(KeyboardInterrupt):
        method(problem, WIDTH, **options, checkpoint=path, checkpoint_every=100, progress=kill_at(250))
    seen = []
    resumed = method(problem, WIDTH, **options, checkpoint=path, progress=seen.append)
    # the file is of step 200: what came after is done again
    assert seen[0].round == 250
    assert_bitwise(whole, resumed)
    # some seeds had stopped before, some go on
    assert name == "monotone" or min(whole.steps) <= 200 < max(whole.steps)
    assert_bitwise(whole, method(problem, WIDTH, **options, checkpoint=path))


def test_a_constant_rate_may_be_taken_up_again_for_more_steps(problem, tmp_path):
    options = {"seeds": 4, "check_every": 50, "schedule": "constant", "certify": False}
    path = tmp_path / "run.safetensors"
    kw.train.adam(problem, WIDTH, steps=100, checkpoint=path, **options)
    more = kw.train.adam(problem, WIDTH, steps=200, checkpoint=path, **options)
    assert_bitwise(more, kw.train.adam(problem, WIDTH, steps=200, **options))
    with pytest.raises(ValueError, match="at step 200 already"):
        kw.train.adam(problem, WIDTH, steps=150, checkpoint=path, **options)
    kw.train.adam(problem, WIDTH, steps=220, checkpoint=path, **options)
    with pytest.raises(ValueError, match="between checks"):
        kw.train.adam(problem, WIDTH, steps=300, checkpoint=path, **options)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seeds": [0, 1, 2, 9]}, "seeds"),
        ({"learning_rate": 0.02}, "method"),
        ({"steps": 120}, "schedule"),
        ({"schedule": "linear"}, "schedule"),
        ({"initialisation": "data_kinks"}, "initialisation"),
        ({"check_every": 20}, "checks"),
        ({"batching": "serial"}, "batching"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(problem, tmp_path, change, named):
    options = {"seeds": 4, "steps": 100, "check_every": 50, "certify": False}
    path = tmp_path / "run.safetensors"
    kw.train.adam(problem, WIDTH, **options, checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"differs in its .*{named}"):
        kw.train.adam(problem, WIDTH, checkpoint=path, **(options | change))
    assert path.read_bytes() == before


def test_another_problem_and_another_method_are_refused(problem, tmp_path):
    options = {"seeds": 4, "steps": 100, "check_every": 50, "certify": False}
    path = tmp_path / "run.safetensors"
    kw.train.adam(problem, WIDTH, **options, checkpoint=path)
    with pytest.raises(ValueError, match="problem"):
        kw.train.adam(problem.with_lam(0.2), WIDTH, **options, checkpoint=path)
    other = kw.Problem(problem.X, problem.Y + 1e-9, 0.3)
    with pytest.raises(ValueError, match="data"):
        kw.train.adam(other, WIDTH, **options, checkpoint=path)
    with pytest.raises(ValueError, match="method"):
        kw.train.pathprox(problem, WIDTH, **options, checkpoint=path)


def test_a_file_that_is_no_checkpoint_is_refused_and_kept(problem, tmp_path):
    options = {"seeds": 4, "steps": 100, "check_every": 50, "certify": False}
    path = tmp_path / "run.safetensors"
    kw.train.adam(problem, WIDTH, **options, checkpoint=path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="no whole checkpoint"):
        kw.train.adam(problem, WIDTH, **options, checkpoint=path)
    assert len(path.read_bytes()) == len(whole) // 2
    kw.save(kw.ReLUNetwork([[1.0]], [0.0], [[1.0]]), path)
    with pytest.raises(ValueError, match="not written by"):
        kw.train.adam(problem, WIDTH, **options, checkpoint=path)


def test_a_folder_that_is_not_there_is_named(problem, tmp_path):
    with pytest.raises(OSError, match="name a folder that exists"):
        kw.train.adam(problem, WIDTH, seeds=4, steps=100, check_every=50, checkpoint=tmp_path / "no" / "run")
