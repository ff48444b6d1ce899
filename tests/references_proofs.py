"""What a proof proves, from its definition: fractions throughout, every neuron summed for itself.

Nothing here comes from the checker: no integers over a common denominator, no running sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise


@dataclass(frozen=True)
class Reference:
    """primal to 60 digits, the exact dual, the dual point (T dictionaries from sorted rows), and in one
    input the largest squared response of a unit neuron to it."""

    primal: Decimal
    dual: Fraction
    alphas: list[dict[int, Fraction]]
    response: Fraction | None


def reference(proof, X, Y, weight=None):
    """Of a proof as JSON has it on rows in the order of the file, X (N, d); labels None where missing."""
    rows = sorted(range(len(X)), key=lambda i: X[i])
    x = [[Fraction(part) for part in X[i]] for i in rows]
    w = [Fraction(1) if weight is None else Fraction(weight[i]) for i in rows]
    alphas, dual, loss = [], Fraction(0), Fraction(0)
    for t in range(len(Y[0])):
        scale, centre = Fraction(proof["scale"][t]), Fraction(proof["centre"][t])
        seen = [j for j, i in enumerate(rows) if Y[i][t] is not None and w[j] > 0]
        y = {j: (Fraction(Y[rows[j]][t]) - centre) / scale for j in seen}
        alpha = dict.fromkeys(range(len(x)), Fraction(0))
        for j, residual in zip(seen, proof["residuals"][t], strict=True):
            alpha[j] = w[j] * residual * Fraction(2) ** proof["exponent"]
        corrected(alpha, x, seen)
        assert sum(alpha.values()) == 0
        assert all(sum(alpha[j] * x[j][k] for j in alpha) == 0 for k in range(len(x[0])))
        dual += sum(alpha[j] * y[j] - alpha[j] ** 2 / (2 * w[j]) for j in seen)
        loss += sum(w[j] * (y[j] - value_at(proof, x[j], t)) ** 2 for j in seen) / 2
        alphas.append(alpha)
    with localcontext() as context:
        context.prec = 60
        norms = sum(
            (norm(w, proof["input_scale"]) * norm(v) for w, v in zip(proof["W"], proof["V"], strict=True)),
            Decimal(0),
        )
        primal = decimal(loss) + decimal(Fraction(proof["lam"])) * norms
    return Reference(primal, dual, alphas, None if len(x[0]) == 2 else response_on_a_line(proof, x, alphas))


def corrected(alpha, x, seen):
    """By Cramer's rule in the entries that the checker changes too."""
    first, last = seen[0], seen[-1]
    total = sum(alpha.values())
    if len(x[0]) == 1:
        moment = sum(alpha[j] * (x[j][0] - x[first][0]) for j in alpha)
        if x[last] > x[first]:
            correction = moment / (x[last][0] - x[first][0])
            alpha[last] -= correction
            alpha[first] += correction - total
        else:
            alpha[first] -= total
        return

    def area(a, b, c):
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    third = max(seen, key=lambda j: abs(area(x[first], x[last], x[j])))
    corners = [first, last, third]
    shares = {}
    for corner in corners:
        others = [x[j] for j in corners if j != corner]
        # the share of this corner in every datum, in barycentric coordinates
        shares[corner] = sum(a * area(x[j], *others) / area(x[corner], *others) for j, a in alpha.items())
    for corner, share in shares.items():
        alpha[corner] -= share


def response_on_a_line(proof, x, alphas):
    x = [x_i for (x_i,) in x]
    bends = [-Fraction(b) / Fraction(w[0]) for w, b in zip(proof["W"], proof["b"], strict=True) if w[0]]
    middles = [(a + b) / 2 for a, b in pairwise(x)]
    return max(
        sum(sum(alpha[j] * max(facing * (x[j] - place), 0) for j in alpha) ** 2 for alpha in alphas)
        for place in [x[0] - 1, *x, *middles, x[-1] + 1, *bends]
        for facing in (1, -1)
    )


def value_at(proof, x, t):
    """f_t(x) of the network of a proof."""
    value = Fraction(proof["c"][t])
    value += sum(Fraction(row[t]) * x_j for row, x_j in zip(proof["A"], x, strict=True))
    for w, b, v in zip(proof["W"], proof["b"], proof["V"], strict=True):
        before = Fraction(b) + sum(Fraction(w_j) * x_j for w_j, x_j in zip(w, x, strict=True))
        value += Fraction(v[t]) * max(before, 0)
    return value


def norm(vector, units=None):
    units = units or [1.0] * len(vector)
    return decimal(sum((Fraction(a) * Fraction(b)) ** 2 for a, b in zip(vector, units, strict=True))).sqrt()


def decimal(value):
    return Decimal(value.numerator) / Decimal(value.denominator)
