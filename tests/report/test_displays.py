from __future__ import annotations

import signal

import pytest

from knotwork.report.displays import Rounds
from knotwork.report.text import count, one_line
from knotwork.solution import TraceEntry

ENTRY = TraceEntry(0, 0.0, 1.0, 0.5, 3)


def test_the_first_interrupt_stops_after_the_round_and_the_second_at_once():
    before = signal.getsignal(signal.SIGINT)
    with Rounds() as rounds:
        assert rounds(ENTRY) is False
        signal.raise_signal(signal.SIGINT)
        assert rounds(ENTRY) is True
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_text_is_put_on_one_line():
    assert one_line("a\n b\x1b[31m\tc") == "a b [31m c"
    assert one_line("short", 9) == "short"
    short = one_line("a very long name of a column", 11)
    assert short == "a ver…olumn"
    assert (count(1, "knot"), count(2, "knot"), count(0, "knot")) == ("1 knot", "2 knots", "0 knots")
