"""The nodes of an ONNX graph as algebra on affine combinations of inputs and ReLU features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validate import as_float_array
from ..network import ReLUNetwork

Array = NDArray[np.float64]
Attributes = Mapping[str, Any]

# onnx.TensorProto.FLOAT, FLOAT16, DOUBLE and BFLOAT16
FLOATING = (1, 10, 11, 16)


class Unsupported(ValueError):
    """What a node does that one hidden ReLU layer does not."""


def _dense(C: Array | None, width: int) -> Array:
    return np.eye(width) if C is None else C


@dataclass(frozen=True, eq=False)
class Rows:
    """A value of the graph with one row for each row of x: sum_g F_g C_g + constant.

    parts : C_g of shape (width of F_g, m) by group g, None for the identity. F_0 is the input x, F_g
        the features of the g-th Relu.
    constant : (m,).
    """

    parts: Mapping[int, Array | None]
    constant: Array

    @property
    def width(self) -> int:
        return len(self.constant)

    def times(self, matrix: Array) -> Rows:
        if matrix.ndim != 2 or len(matrix) != self.width:
            raise Unsupported(f"multiplies {self.width} columns by an array of shape {matrix.shape}")
        parts = {g: matrix if C is None else C @ matrix for g, C in self.parts.items()}
        return Rows(parts, self.constant @ matrix)

    def scaled(self, factors: Array) -> Rows:
        parts = {g: _dense(C, self.width) * factors for g, C in self.parts.items()}
        return Rows(parts, self.constant * factors)

    def plus(self, other: Rows) -> Rows:
        parts: dict[int, Array | None] = dict(self.parts)
        for g, C in other.parts.items():
            parts[g] = _dense(parts[g], self.width) + _dense(C, self.width) if g in parts else C
        return Rows(parts, self.constant + other.constant)

    def widened(self, width: int) -> Rows:
        """One column repeated, as NumPy and ONNX broadcast it."""
        if self.width == width:
            return self
        if self.width != 1:
            raise Unsupported(f"combines {self.width} columns with {width}")
        return self.times(np.ones((1, width)))


Value = Rows | NDArray[Any]


class Algebra:
    """What the nodes of one graph make of its input x (n, d)."""

    def __init__(self, n_inputs: int, batch: int | None) -> None:
        self.n_inputs = n_inputs
        self.batch = batch
        self.inner: list[Rows] = []

    def input(self) -> Rows:
        return Rows({0: None}, np.zeros(self.n_inputs))

    def apply(self, domain: str, kind: str, inputs: Sequence[Value | None], attributes: Attributes) -> Rows:
        """The value of a node of which at least one input depends on x.

        Raises
        ------
        Unsupported : when it is no affine combination of x and features that depend on x alone.
        """
        known = _OPERATIONS.get((domain if domain != "ai.onnx" else "", kind))
        if known is None:
            names = sorted({name for _, name in _OPERATIONS})
            raise Unsupported(f"is not supported; supported are {', '.join(names)}")
        return known(self, list(inputs), attributes)

    def network(self, output: Rows) -> ReLUNetwork:
        """The network whose prediction is `output`.

        Raises
        ------
        ValueError : when a weight has overflowed.
        """
        d, n_tasks = self.n_inputs, output.width

        def part(rows: Rows, g: int, width: int) -> Array:
            return _dense(rows.parts.get(g, np.zeros((width, rows.width))), width)

        W = np.concatenate([np.zeros((0, d)), *(part(rows, 0, d).T for rows in self.inner)])
        b = np.concatenate([np.zeros(0), *(rows.constant for rows in self.inner)])
        blocks = [part(output, g, rows.width) for g, rows in enumerate(self.inner, start=1)]
        V = np.concatenate([np.zeros((0, n_tasks)), *blocks])
        return ReLUNetwork(W, b, V, part(output, 0, d), output.constant)

    def relu(self, rows: Rows) -> Rows:
        if any(g > 0 for g in rows.parts):
            raise Unsupported("is a second hidden layer; one hidden ReLU layer is supported")
        self.inner.append(rows)
        return Rows({len(self.inner): None}, np.zeros(rows.width))


def _rows(value: Value | None) -> Rows:
    if not isinstance(value, Rows):
        raise Unsupported(
            "is supported only where its first input, and no weight, depends on the model's input"
        )
    return value


def _constant(value: Value | None) -> Array:
    if value is None or isinstance(value, Rows):
        raise Unsupported("combines two values that both depend on the model's input")
    return as_float_array(value.astype(np.float64), "one of its constants")


def _row(value: Value | None) -> Array:
    """A constant that is the same for every row of x, as (m,)."""
    array = _constant(value)
    if array.ndim > 2 or array.size != (array.shape[-1] if array.ndim else 1):
        raise Unsupported(f"combines every row with a constant of shape {array.shape}")
    return array.reshape(-1)


def _as_rows(value: Value | None) -> Rows:
    return value if isinstance(value, Rows) else Rows({}, _row(value))


def _sum(graph: Algebra, inputs: list[Value | None], attributes: Attributes) -> Rows:
    terms = [_as_rows(value) for value in inputs]
    width = max(term.width for term in terms)
    total = terms[0].widened(width)
    for term in terms[1:]:
        total = total.plus(term.widened(width))
    return total


def _subtract(graph: Algebra, inputs: list[Value | None], attributes: Attributes) -> Rows:
    first, second = inputs
    return _sum(graph, [first, _as_rows(second).scaled(np.array([-1.0]))], attributes)


def _multiply(graph: Algebra, inputs: list[Value | None], attributes: Attributes) -> Rows:
    first, second = inputs if isinstance(inputs[0], Rows) else inputs[::-1]
    factors = _row(second)
    rows = _rows(first).widened(max(_rows(first).width, len(factors)))
    if len(factors) not in (1, rows.width):
        raise Unsupported(f"combines {rows.width} columns with {len(factors)}")
    return rows.scaled(factors)


def _divide(graph: Algebra, inputs: list[Value | None], attributes: Attributes) -> Rows:
    _rows(inputs[0])
    divisor = _row(inputs[1])
    if not divisor.all():
        raise Unsupported("divides by zero")
    return _multiply(graph, [inputs[0], 1.0 / divisor], attributes)


def _matmul(graph: Algebra, inputs: list[Value | None], attributes: Attributes) -> Rows:
    return _rows(inputs[0]).times(_constant(inputs[1]))


def _gemm(graph: Algebra, inputs: list[Value | None], attributes: Attributes) -> Rows:
    if attributes.get("transA", 0):
        raise Unsupported("transposes a value that depends on the model's input")
    matrix = _constant(inputs[1]) * attributes.get("alpha", 1.0)
    product = _rows(inputs[0]).times(matrix.T if attributes.get("transB", 0) else matrix)
    if len(inputs) < 3 or inputs[2] is None:
        return product
    offset = _as_rows(inputs[2]).scaled(np.array([attributes.get("beta", 1.0)]))
    return product.plus(offset.widened(product.width))


def _same(graph: Algebra, inputs: list[Value | None], attributes: Attributes) -> Rows:
    return _rows(inputs[0])


def _cast(graph: Algebra, inputs: list[Value | None], attributes: Attributes) -> Rows:
    if attributes.get("to") not in FLOATING:
        raise Unsupported("rounds: a cast to a floating type is supported")
    return _rows(inputs[0])


def _flatten(graph: Algebra, inputs: list[Value | None], attributes: Attributes) -> Rows:
    if attributes.get("axis", 1) not in (1, -1):
        raise Unsupported("mixes the rows of its input")
    return _rows(inputs[0])


def _reshape(graph: Algebra, inputs: list[Value | None], attributes: Attributes) -> Rows:
    rows = _rows(inputs[0])
    shape = [int(size) for size in _constant(inputs[1]).ravel()]
    keeps_rows = shape[:1] in ([-1], [0], [graph.batch])
    keeps_columns = shape[1:] in ([0], [rows.width]) or (shape[1:] == [-1] and shape[0] != -1)
    zero_is_zero = attributes.get("allowzero", 0) and 0 in shape
    if zero_is_zero or not (keeps_rows and keeps_columns):
        raise Unsupported(f"gives its input of shape (N, {rows.width}) the shape {shape}, mixing rows")
    return rows


def _concat(graph: Algebra, inputs: list[Value | None], attributes: Attributes) -> Rows:
    if attributes.get("axis") not in (1, -1):
        raise Unsupported("joins rows; joining columns (axis 1) is supported")
    pieces = [_rows(value) for value in inputs]
    width = sum(piece.width for piece in pieces)
    total, start = Rows({}, np.zeros(width)), 0
    for piece in pieces:
        total = total.plus(piece.times(np.eye(piece.width, width, start)))
        start += piece.width
    return total


def _scaler(graph: Algebra, inputs: list[Value | None], attributes: Attributes) -> Rows:
    offset = -np.asarray(attributes.get("offset", [0.0]))
    shifted = _sum(graph, [inputs[0], offset], attributes)
    return _multiply(graph, [shifted, np.asarray(attributes.get("scale", [1.0]))], attributes)


def _negate(graph: Algebra, inputs: list[Value | None], attributes: Attributes) -> Rows:
    return _rows(inputs[0]).scaled(np.array([-1.0]))


def _relu(graph: Algebra, inputs: list[Value | None], attributes: Attributes) -> Rows:
    return graph.relu(_rows(inputs[0]))


_OPERATIONS: dict[tuple[str, str], Callable[[Algebra, list[Value | None], Attributes], Rows]] = {
    ("", "Add"): _sum,
    ("", "Cast"): _cast,
    ("", "Concat"): _concat,
    ("", "Div"): _divide,
    ("", "Flatten"): _flatten,
    ("", "Gemm"): _gemm,
    ("", "Identity"): _same,
    ("", "MatMul"): _matmul,
    ("", "Mul"): _multiply,
    ("", "Neg"): _negate,
    ("", "Relu"): _relu,
    ("", "Reshape"): _reshape,
    ("", "Sub"): _subtract,
    ("", "Sum"): _sum,
    ("ai.onnx.ml", "Scaler"): _scaler,
}
