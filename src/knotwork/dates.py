"""Dates as inputs: days since an origin, and back."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
_ISO_DATE = re.compile(r"\d{4}-\d{2}(-\d{2}.*)?", re.DOTALL)


def looks_like_dates(values: pd.Series) -> bool:
    """Whether a column holds dates: a date type, or text whose first entry is YYYY-MM-DD or YYYY-MM."""
    if values.dtype.kind == "M":
        return True
    seen = values.dropna()
    if len(seen) == 0 or values.dtype.kind in "fiubc":
        return False
    first = seen.iloc[0]
    if isinstance(first, str):
        return _ISO_DATE.fullmatch(first.strip()) is not None
    return isinstance(first, datetime.date)


def days_since(values: pd.Series, origin: str | None = None) -> tuple[Array, str]:
    """(N,) days from `origin` to each date, and the origin, the first of the dates when not given.

    Parameters
    ----------
    values : (N,) dates or text such as 2006-01-31, 2006-01 or 2006-01-31T12:00:00. A time zone
        is converted to UTC.
    origin : a date in ISO form.

    Raises
    ------
    ValueError : for a missing entry or one that is no date, naming its row (counted from 1).
    """
    import pandas as pd

    missing = np.flatnonzero(values.isna())
    if len(missing):
        raise ValueError(f"row {int(missing[0]) + 1} has no date; fill it in or remove the row")
    try:
        # text and date objects alike; a column that is one already only loses its time zone
        known = values if values.dtype.kind == "M" else values.astype(str).str.strip()
        stamps = pd.to_datetime(known, format="ISO8601", utc=True, errors="coerce")
    except (ValueError, OverflowError, TypeError) as error:
        raise ValueError(f"holds a date that cannot be read ({error})") from None
    wrong = np.flatnonzero(stamps.isna())
    if len(wrong):
        raise ValueError(
            f"row {int(wrong[0]) + 1} holds {str(values.iloc[int(wrong[0])])!r}, which is no date; "
            "write dates as YYYY-MM-DD"
        )
    first = stamps.min() if origin is None else _stamp(origin)
    ticks = (stamps - first) // pd.Timedelta(microseconds=1)
    return ticks.to_numpy(dtype=np.float64) / 86_400e6, _iso(first)


def dates_of(days: ArrayLike, origin: str) -> list[str]:
    """ISO text of the dates `days` (N,) after `origin`: without a time at midnight, else to the millisecond.

    Days beyond the calendar of the years 1 to 9999 stay numbers, such as "-800000.0 days".
    """
    start = _stamp(origin).to_pydatetime()
    return [_date(float(day), start) for day in np.asarray(days, dtype=float)]


def _date(days: float, start: datetime.datetime) -> str:
    milliseconds = round(days * 86_400e3)
    try:
        return _iso(start + datetime.timedelta(milliseconds=milliseconds))
    except OverflowError:
        return f"{days!r} days"


def _stamp(origin: str) -> Any:
    import pandas as pd

    return pd.to_datetime(origin, format="ISO8601", utc=True)


def _iso(moment: Any) -> str:
    moment = moment.replace(tzinfo=None)
    if moment == moment.replace(hour=0, minute=0, second=0, microsecond=0):
        return moment.date().isoformat()
    whole = moment.microsecond == 0
    return moment.isoformat(sep="T", timespec="seconds" if whole else "milliseconds")
