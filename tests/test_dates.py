from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from knotwork.dates import dates_of, days_since, looks_like_dates


@pytest.mark.parametrize(
    "texts",
    [
        ["2006-01-01", "2006-02-01", "2015-12-31"],
        ["1565-03-01", "1600-02-29", "2024-02-29"],
        ["2006-01-01T12:30:00", "2006-01-02", "2006-01-02T00:00:00.250"],
        ["0001-01-01", "9999-12-31"],
    ],
)
def test_dates_come_back(texts):
    days, origin = days_since(pd.Series(texts))
    assert origin == texts[0]
    assert dates_of(days, origin) == texts


def test_days_are_counted_from_the_first_date_whatever_the_order():
    days, origin = days_since(pd.Series(["2006-03-01", "2006-01-01", "2006-01-01T06:00"]))
    assert origin == "2006-01-01"
    np.testing.assert_array_equal(days, [59.0, 0.0, 0.25])


def test_days_are_counted_from_a_given_origin():
    days, origin = days_since(pd.Series(["2006-01-01", "2005-12-31"]), "2006-01-31")
    assert origin == "2006-01-31"
    np.testing.assert_array_equal(days, [-30.0, -31.0])


def test_months_and_time_zones():
    days, origin = days_since(pd.Series(["2006-02", "2006-03"]))
    assert origin == "2006-02-01"
    np.testing.assert_array_equal(days, [0.0, 28.0])
    days, origin = days_since(pd.Series(["2006-01-01T00:00+02:00", "2006-01-01T00:00Z"]))
    assert origin == "2005-12-31T22:00:00"
    np.testing.assert_allclose(days, [0.0, 2 / 24])


def test_date_types():
    naive = pd.Series(pd.to_datetime(["2006-01-01", "2006-01-08"]))
    for values in (naive, naive.dt.tz_localize("UTC"), naive.dt.date):
        assert looks_like_dates(values)
        days, origin = days_since(values)
        assert origin == "2006-01-01"
        np.testing.assert_array_equal(days, [0.0, 7.0])


@pytest.mark.parametrize(
    "values", [[1.0, 2.0], [2006, 2007], ["a", "b"], ["2006", "2007"], [None, None], [True]]
)
def test_what_are_no_dates(values):
    assert not looks_like_dates(pd.Series(values))


def test_a_wrong_or_missing_date_is_named():
    with pytest.raises(ValueError, match="row 2 holds '2006-13-01'"):
        days_since(pd.Series(["2006-01-01", "2006-13-01"]))
    with pytest.raises(ValueError, match="row 3 has no date"):
        days_since(pd.Series(["2006-01-01", "2006-02-01", None]))


def test_days_beyond_the_calendar_stay_numbers():
    assert dates_of([1e7, 1.0], "2006-01-01") == ["10000000.0 days", "2006-01-02"]
