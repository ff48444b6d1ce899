"""Weight decay: which parameters cost, and in which combinations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Skip = Literal["free", "none", "frobenius", "nuclear"]

_COMBINATIONS: dict[tuple[bool, str], str] = {
    (False, "free"): "sum_k |v_k| |w_k|",
    (False, "none"): "sum_k |v_k| |w_k|, no skip connection",
    (True, "none"): "sum_k |v_k| |(w_k, b_k)| + |c|^2 / 2, no skip connection",
    (True, "frobenius"): "sum_k |v_k| |(w_k, b_k)| + |c|^2 / 2 + |A|_F^2 / 2",
    (True, "nuclear"): "sum_k |v_k| |(w_k, b_k)| + |c|^2 / 2 + |A|_*",
}


@dataclass(frozen=True)
class Penalty:
    """The regulariser R of a shallow ReLU network, at its rescaling minimum.

    ====== ============= =================================================== ==================
    biases skip          R(network)                                          source
    ====== ============= =================================================== ==================
    False  "free"        sum_k |v_k| |w_k|; b, c and A cost nothing           A (1)-(4), (9)
    False  "none"        sum_k |v_k| |w_k|; b and c cost nothing, A = 0       A (11), (12), B (9)
    True   "none"        sum_k |v_k| |(w_k, b_k)| + |c|^2/2, A = 0            B (4), (7)
    True   "frobenius"   ... + |A|_F^2/2                                      B (11)
    True   "nuclear"     ... + |A|_*                                          B (12)
    ====== ============= =================================================== ==================

    Norms of vectors are Euclidean. Half the sum of squares of the penalised
    parameters equals R once every neuron is balanced (`ReLUNetwork.balance`).

    Parameters
    ----------
    biases : whether weight decay acts on the biases b_k (and then on c) too.
    skip : what the linear skip connection A costs: nothing ("free"), its squared
        Frobenius norm, its nuclear norm, or there is none.

    Raises
    ------
    TypeError, ValueError : for a combination that is not in the table.
    """

    biases: bool = False
    skip: Skip = "free"

    def __post_init__(self) -> None:
        if not isinstance(self.biases, bool):
            raise TypeError(f"penalty: biases must be True or False, got {self.biases!r}")
        if (self.biases, self.skip) not in _COMBINATIONS:
            allowed = ", ".join(f"(biases={b}, skip={s!r})" for b, s in _COMBINATIONS)
            raise ValueError(
                f"penalty: (biases={self.biases}, skip={self.skip!r}) is not a penalty of the "
                f"papers; choose one of {allowed}"
            )

    @property
    def formula(self) -> str:
        """R(network) in plain text."""
        return _COMBINATIONS[self.biases, self.skip]


PENALTIES = {
    "weights-free-skip": Penalty(False, "free"),
    "weights": Penalty(False, "none"),
    "all": Penalty(True, "none"),
    "all-skip": Penalty(True, "frobenius"),
    "all-nuclear": Penalty(True, "nuclear"),
}


def as_penalty(penalty: str | Penalty, auto: str | None = None) -> Penalty:
    """The penalty that `penalty` is or names; "auto" is the one that `auto` names, where that is given.

    Raises
    ------
    ValueError : for another name.
    """
    if isinstance(penalty, Penalty):
        return penalty
    name = auto if auto is not None and isinstance(penalty, str) and penalty == "auto" else penalty
    if not isinstance(name, str) or name not in PENALTIES:
        also = "" if auto is None else ", 'auto'"
        raise ValueError(
            f"penalty: must be a knotwork.Penalty{also}, or one of {', '.join(PENALTIES)}; got {penalty!r}"
        )
    return PENALTIES[name]
