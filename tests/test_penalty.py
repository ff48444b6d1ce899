from __future__ import annotations

import pytest

import knotwork as kw

ALLOWED = [(False, "free"), (False, "none"), (True, "none"), (True, "frobenius"), (True, "nuclear")]


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("skip", ["free", "none", "frobenius", "nuclear"])
def test_only_the_combinations_of_the_table_exist(biases, skip):
    if (biases, skip) in ALLOWED:
        penalty = kw.Penalty(biases=biases, skip=skip)
        assert (penalty.biases, penalty.skip) == (biases, skip)
        assert ("b_k" in penalty.formula) == biases
    else:
        with pytest.raises(ValueError, match=r"^penalty: .*choose one of"):
            kw.Penalty(biases=biases, skip=skip)


def test_default_is_free_biases_and_free_skip():
    assert kw.Penalty() == kw.Penalty(biases=False, skip="free")


@pytest.mark.parametrize("biases", [1, 0, None, "no"])
def test_biases_must_be_a_bool(biases):
    with pytest.raises(TypeError, match=r"^penalty: biases must be True or False"):
        kw.Penalty(biases=biases)


@pytest.mark.parametrize("skip", ["", "Free", None, True])
def test_unknown_skip_names_the_choices(skip):
    with pytest.raises(ValueError, match="nuclear"):
        kw.Penalty(skip=skip)


def test_penalty_is_immutable_and_hashable():
    penalty = kw.Penalty()
    with pytest.raises(AttributeError):
        penalty.skip = "none"
    assert {penalty: 1}[kw.Penalty()] == 1
