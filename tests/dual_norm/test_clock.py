from __future__ import annotations

import pytest

from knotwork.dual_norm._clock import OutOfTime, heed, heeding


def test_nothing_is_heeded_outside():
    heed()
    with heeding(lambda: False):
        heed()
    heed()


def test_time_that_is_up_is_heeded_inside_only():
    with heeding(lambda: True):
        with pytest.raises(OutOfTime):
            heed()
        with heeding(lambda: False):
            heed()
        with pytest.raises(OutOfTime):
            heed()
    heed()


def test_an_exception_ends_the_heeding():
    with pytest.raises(OutOfTime), heeding(lambda: True):
        heed()
    heed()
