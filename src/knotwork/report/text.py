"""Text that came from data, made safe to show."""

from __future__ import annotations


def one_line(text: str, longest: int | None = None) -> str:
    """`text` on one line without control characters, shortened in the middle to `longest` letters."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    if longest is None or len(line) <= longest:
        return line
    half = (longest - 1) // 2
    return f"{line[:half]}…{line[-half:]}"


def count(n: int, noun: str) -> str:
    """ "1 knot", "2 knots"."""
    return f"{n} {noun}{'' if n == 1 else 's'}"
