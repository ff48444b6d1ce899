"""Long exact passes that stop when time is up: `heed` at every block of work, under one `heeding` outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_out_of_time: ContextVar[Callable[[], bool]] = ContextVar("out_of_time", default=lambda: False)


class OutOfTime(Exception):
    """An exact pass was cut short: nothing is known of what it had not looked at."""


@contextmanager
def heeding(out_of_time: Callable[[], bool]) -> Iterator[None]:
    """Inside, `heed` raises `OutOfTime` as soon as `out_of_time()` is true."""
    token = _out_of_time.set(out_of_time)
    try:
        yield
    finally:
        _out_of_time.reset(token)


def heed() -> None:
    """Raise `OutOfTime` where the clock of the innermost `heeding` says so."""
    if _out_of_time.get()():
        raise OutOfTime
