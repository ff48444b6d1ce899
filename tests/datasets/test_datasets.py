from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import knotwork as kw
from knotwork import datasets

BUNDLED = datasets.list_datasets()


@pytest.mark.parametrize("dataset", BUNDLED, ids=lambda one: one.name)
def test_the_record_matches_the_file(dataset):
    with dataset.path.open(encoding="utf-8", newline="") as handle:
        header = next(csv.reader(handle))
    assert tuple(header) == dataset.columns
    assert set(dataset.aggregates) <= set(dataset.units)
    readme = (Path(datasets.__file__).parent / "README.md").read_text(encoding="utf-8")
    assert f"`{dataset.name}`" in readme
    assert dataset.source
    assert "public domain" in dataset.licence


def test_us_employment():
    table = kw.load_dataset("us-employment")
    assert (table.n_rows, table.n_tasks, table.n_missing) == (120, 15, 0)
    assert (table.input_name, table.origin) == ("month", "2006-01-01")
    assert table.input_labels(table.X[[0, 119]]) == ["2006-01-01", "2015-12-01"]
    assert set(table.task_units) == {"thousands of employees"}
    # spot checks against the published series
    assert table.Y[0, table.task_names.index("construction")] == 7601
    assert table.Y[1, table.task_names.index("government")] == 21878
    assert not set(table.task_names) & set(BUNDLED[0].aggregates)
    assert any("left out columns that are sums" in notice and "nonfarm" in notice for notice in table.notices)


def test_the_sums_are_sums():
    dataset = BUNDLED[0]
    table = kw.load_dataset("us-employment", tasks=list(dataset.units))
    column = dict(zip(table.task_names, table.Y.T, strict=True))
    for total, parts in dataset.aggregates.items():
        error = np.abs(column[total] - sum(column[part] for part in parts)).max()
        assert error <= (0.5 + 1e-9 if total == "trade_transportation_utilities" else 0.0)
    # what is fitted by default covers everybody once
    apart = kw.load_dataset("us-employment").Y.sum(axis=1)
    assert np.abs(apart - column["nonfarm"]).max() <= 0.5 + 1e-9


def test_sums_are_fitted_when_named():
    table = kw.load_dataset("us-employment", tasks=["manufacturing", "durable_goods"])
    assert table.task_names == ("manufacturing", "durable_goods")
    assert "manufacturing is the sum of durable_goods, nondurable_goods" in table.notices


def test_playfair_wheat():
    table = kw.load_dataset("playfair-wheat")
    assert (table.n_rows, table.task_names, table.n_missing) == (52, ("wheat", "wages"), 2)
    assert (table.X[0], table.X[-1], table.origin) == (1565, 1820, None)
    assert np.isnan(table.Y[-2:, 1]).all()
    assert table.Y[-3].tolist() == [99, 30]
    assert table.task_units == ("shillings per quarter", "shillings per week")


def test_unknown_names():
    with pytest.raises(ValueError, match="no bundled table 'wheat'; there are us-employment, playfair-wheat"):
        kw.load_dataset("wheat")
    with pytest.raises(ValueError, match="did you mean 'government'"):
        kw.load_dataset("us-employment", tasks=["goverment"])


def test_read_data_takes_names_and_paths(tmp_path):
    assert datasets.read_data("playfair-wheat", tasks=["wages"]).task_names == ("wages",)
    path = tmp_path / "a.csv"
    path.write_text("x,a\n1,2\n")
    assert datasets.read_data(path).task_names == ("a",)
    with pytest.raises(FileNotFoundError, match="did you mean us-employment"):
        datasets.read_data("us_employment")
    with pytest.raises(ValueError, match="is a wide table"):
        datasets.read_data("us-employment", series="month", value="nonfarm")
