"""Penalties by name, as the command line has them."""

from __future__ import annotations

from ..penalty import Penalty

PENALTIES = {
    "weights-free-skip": Penalty(False, "free"),
    "weights": Penalty(False, "none"),
    "all": Penalty(True, "none"),
    "all-skip": Penalty(True, "frobenius"),
    "all-nuclear": Penalty(True, "nuclear"),
}


def as_penalty(penalty: str | Penalty, auto: str) -> Penalty:
    """The penalty that `penalty` is or names; "auto" is the one that `auto` names.

    Raises
    ------
    ValueError : for another name.
    """
    if isinstance(penalty, Penalty):
        return penalty
    name = auto if isinstance(penalty, str) and penalty == "auto" else penalty
    if not isinstance(name, str) or name not in PENALTIES:
        raise ValueError(
            f"penalty: must be a knotwork.Penalty, 'auto', or one of {', '.join(PENALTIES)}; got {penalty!r}"
        )
    return PENALTIES[name]
