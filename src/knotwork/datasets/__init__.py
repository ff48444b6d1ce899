"""Real tables that come with the package, each with its source and licence (see README.md here)."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..tables import Table, TableError, read_table


@dataclass(frozen=True, eq=False)
class Dataset:
    """A bundled table.

    name, title : what it is called, and what it shows.
    source, licence : where it comes from, and the terms.
    input_name : the column of inputs.
    units : column name to unit, for every column but the input.
    aggregates : column name to the columns it is the sum of; not fitted unless named.
    """

    name: str
    title: str
    source: str
    licence: str
    input_name: str
    units: Mapping[str, str]
    aggregates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return Path(__file__).with_name(f"{self.name}.csv")

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns in the order of the file, the input first."""
        return (self.input_name, *self.units)


_TRADE = ("wholesale_trade", "retail_trade", "transportation_and_warehousing", "utilities")
_GOODS = ("mining_and_logging", "construction", "manufacturing")
_PRIVATE_SERVICES = (
    "trade_transportation_utilities",
    "information",
    "financial_activities",
    "professional_and_business_services",
    "education_and_health_services",
    "leisure_and_hospitality",
    "other_services",
)
_EMPLOYMENT = (
    "nonfarm",
    "private",
    "goods_producing",
    "service_providing",
    "private_service_providing",
    "mining_and_logging",
    "construction",
    "manufacturing",
    "durable_goods",
    "nondurable_goods",
    "trade_transportation_utilities",
    *_TRADE,
    *_PRIVATE_SERVICES[1:],
    "government",
)

_BUNDLED = (
    Dataset(
        name="us-employment",
        title="Employees by sector in the United States, monthly, 2006 to 2015, seasonally adjusted",
        source="US Bureau of Labor Statistics, Current Employment Statistics, https://www.bls.gov/ces/ "
        "(through vega_datasets 0.9.0)",
        licence="public domain (a work of the United States government)",
        input_name="month",
        units=dict.fromkeys(_EMPLOYMENT, "thousands of employees"),
        aggregates={
            "nonfarm": ("private", "government"),
            "private": ("goods_producing", "private_service_providing"),
            "goods_producing": _GOODS,
            "service_providing": ("private_service_providing", "government"),
            "private_service_providing": _PRIVATE_SERVICES,
            "manufacturing": ("durable_goods", "nondurable_goods"),
            "trade_transportation_utilities": _TRADE,
        },
    ),
    Dataset(
        name="playfair-wheat",
        title="Price of wheat and weekly wages in England, 1565 to 1820; the last wages are missing",
        source="W. Playfair, A Letter on our Agricultural Distresses, 1822; digitised by M. Bostock "
        "(through vega_datasets)",
        licence="public domain",
        input_name="year",
        units={"wheat": "shillings per quarter", "wages": "shillings per week"},
    ),
)


def list_datasets() -> tuple[Dataset, ...]:
    """The bundled tables."""
    return _BUNDLED


def load_dataset(
    name: str,
    *,
    input: str | None = None,
    tasks: Sequence[str] | None = None,
    origin: str | None = None,
) -> Table:
    """A bundled table by its name; arguments as those of `read_table`.

    Columns that are sums of others are left out unless `tasks` names them; the notices of the
    table say so.

    Raises
    ------
    ValueError : for an unknown name or column.
    """
    known = {dataset.name: dataset for dataset in _BUNDLED}
    if name not in known:
        raise ValueError(f"name: there is no bundled table {name!r}; there are {', '.join(known)}")
    dataset = known[name]
    if tasks is None:
        taken = [column for column in dataset.units if column not in dataset.aggregates and column != input]
    else:
        taken = list(tasks)
    table = read_table(dataset.path, input=input or dataset.input_name, tasks=taken, origin=origin)
    return replace(
        table,
        task_units=tuple(dataset.units.get(column, "") for column in taken),
        notices=(*table.notices, *_about_sums(dataset, tasks)),
    )


def read_data(
    source: str | os.PathLike[str],
    *,
    input: str | None = None,
    tasks: Sequence[str] | None = None,
    series: str | None = None,
    value: str | None = None,
    origin: str | None = None,
) -> Table:
    """A bundled table when `source` is the name of one, else the file of that path.

    Raises
    ------
    ValueError, OSError : as `load_dataset` and `read_table`.
    """
    names = [dataset.name for dataset in _BUNDLED]
    if source in names:
        if series is not None or value is not None:
            raise TableError(f"series: {source} is a wide table; leave out series and value")
        return load_dataset(str(source), input=input, tasks=tasks, origin=origin)
    if not Path(source).exists() and (close := difflib.get_close_matches(str(source), names, n=1)):
        raise FileNotFoundError(f"{source}: there is no such file; did you mean {close[0]}?")
    return read_table(source, input=input, tasks=tasks, series=series, value=value, origin=origin)


def _about_sums(dataset: Dataset, tasks: Sequence[str] | None) -> list[str]:
    if tasks is None:
        if not dataset.aggregates:
            return []
        left = ", ".join(dataset.aggregates)
        return [f"left out columns that are sums of others (name them as tasks to fit them): {left}"]
    return [
        f"{column} is the sum of {', '.join(dataset.aggregates[column])}"
        for column in tasks
        if column in dataset.aggregates
    ]
