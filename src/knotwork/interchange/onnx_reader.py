"""Networks from ONNX files: the graph is read as algebra, no node of it is run on data."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._validate import as_float_array
from ..network import ReLUNetwork
from ._shared import existing_file, needing
from .onnx_graph import FLOATING, Algebra, Rows, Unsupported, Value

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

# what is computed on constants; nodes that make arrays of any size from few bytes are not among them
_FOLDED = {"Add", "Cast", "Concat", "Constant", "Div", "Gemm", "Identity", "MatMul", "Mul", "Neg", "Reshape"}
_FOLDED |= {"Squeeze", "Sub", "Transpose", "Unsqueeze"}


def from_onnx(model: str | os.PathLike[str] | ModelProto) -> ReLUNetwork:
    """The network f(X) = relu(X W^T + b) V + X A + c that an ONNX model computes, in float64.

    Every value of the graph is followed as an affine combination of the inputs and of ReLU features, so
    that any graph that amounts to one hidden ReLU layer, with or without a skip connection, is read.
    Known are Gemm, MatMul, Add, Sub, Mul, Div, Sum, Neg, Concat, Relu, Identity, Cast to a floating
    type, Flatten and Reshape that change nothing, Scaler of ai.onnx.ml, Constant, and the reshaping and
    transposing of constants. Weights in float16, bfloat16 or float32 are widened; the model itself
    may round more than the network does.

    Parameters
    ----------
    model : path of a file, or a model in memory. One input (N, d), one output (N, T).

    Raises
    ------
    ImportError : without the onnx package.
    TypeError, ValueError : for a damaged file; weights in a file of their own; naming the node
        that is not supported, or the tensor that is not finite or of the wrong shape.
    OSError : when there is no such file or it cannot be read.
    """
    with needing("onnx"):
        import onnx

    if isinstance(model, onnx.ModelProto):
        return _network(model, "model")
    if not isinstance(model, str | os.PathLike):
        raise TypeError(f"model: must be a path or an onnx.ModelProto, got {type(model).__name__}")
    return _network(_parsed(model), str(model))


def _parsed(path: str | os.PathLike[str]) -> ModelProto:
    import onnx
    from google.protobuf.message import DecodeError

    file = existing_file(path)
    try:
        return onnx.load_model_from_string(file.read_bytes())
    except (DecodeError, ValueError, TypeError) as error:
        raise ValueError(f"{path}: is no whole ONNX file ({error}); export it anew") from None


def _network(model: ModelProto, where: str) -> ReLUNetwork:
    import onnx

    _refuse_what_is_elsewhere(model, where)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        reason = str(error).strip().replace("\n", " ")
        raise ValueError(f"{where}: is no valid ONNX model ({reason}); export it anew") from None
    graph = model.graph
    constants = {tensor.name: _array(tensor, where) for tensor in graph.initializer}
    # before IR version 4 the initialisers were inputs too
    inputs = [value for value in graph.input if value.name not in constants]
    for kind, found in (("input", inputs), ("output", list(graph.output))):
        if len(found) != 1:
            names = ", ".join(repr(value.name) for value in found) or "none"
            raise ValueError(f"{where}: has {kind}s {names}; models of one {kind} are supported")
    batch, width = _input_shape(inputs[0], where)
    algebra = Algebra(width, batch)
    values: dict[str, Value] = {**constants, inputs[0].name: algebra.input()}
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    # overflow ends in a weight that is not finite, and in its error
    with np.errstate(over="ignore", invalid="ignore"):
        for node in _needed(graph):
            _evaluate(node, values, algebra, opsets, where)
        output = values.get(graph.output[0].name)
        if not isinstance(output, Rows):
            raise ValueError(f"{where}: its output does not depend on its input")
        try:
            return algebra.network(output)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None


def _refuse_what_is_elsewhere(model: ModelProto, where: str) -> None:
    """Weights in other files, and nodes whose meaning the model itself defines."""
    from onnx import TensorProto

    if model.functions:
        names = ", ".join(repr(function.name) for function in model.functions)
        raise ValueError(f"{where}: defines functions {names}; export it with its functions inlined")
    if model.graph.sparse_initializer:
        raise ValueError(f"{where}: has sparse weights; export it with dense ones")
    tensors = list(model.graph.initializer)
    for node in model.graph.node:
        tensors += [attribute.t for attribute in node.attribute if attribute.HasField("t")]
    for tensor in tensors:
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise ValueError(
                f"{where}: keeps tensor {tensor.name!r} in another file; write the weights into the model, "
                "as onnx.save(onnx.load(path), path) or torch.onnx.export(..., external_data=False) do"
            )


def _array(tensor: TensorProto, where: str) -> NDArray[Any]:
    from onnx import numpy_helper

    try:
        array = numpy_helper.to_array(tensor)
        if array.dtype.kind in "iub":
            return array
        # bfloat16 and the like are of a kind that NumPy itself does not have
        as_float_array(array.astype(np.float64) if array.dtype.kind == "V" else array, tensor.name)
    except (ValueError, TypeError, KeyError, NotImplementedError) as error:
        raise ValueError(f"{where}: tensor {tensor.name!r} {list(tensor.dims)}: {error}") from None
    return array


def _input_shape(value: Any, where: str) -> tuple[int | None, int]:
    """(N or None where it is free, d)."""
    from onnx import TensorProto

    kind = value.type.tensor_type.elem_type
    if kind not in FLOATING:
        name = TensorProto.DataType.Name(kind)
        raise ValueError(f"{where}: input {value.name!r} has type {name}; floating types are supported")
    dims = list(value.type.tensor_type.shape.dim)
    if len(dims) != 2 or dims[1].dim_value < 1:
        shape = tuple(dim.dim_value or dim.dim_param or None for dim in dims)
        raise ValueError(
            f"{where}: input {value.name!r} must have shape (N, d) with d a number, got {shape}; "
            "export it with an example input of two axes"
        )
    return dims[0].dim_value or None, dims[1].dim_value


def _needed(graph: GraphProto) -> list[NodeProto]:
    """The nodes that the output depends on, in their order."""
    names, nodes = {value.name for value in graph.output}, []
    for node in reversed(graph.node):
        if names & set(node.output):
            names |= set(node.input)
            nodes.append(node)
    return nodes[::-1]


def _evaluate(
    node: NodeProto, values: dict[str, Value], algebra: Algebra, opsets: dict[str, int], where: str
) -> None:
    from onnx import helper

    missing = [name for name in node.input if name and name not in values]
    inputs = [values[name] if name else None for name in node.input if name not in missing]
    try:
        if missing:
            raise Unsupported(f"takes {missing[0]!r}, which is no first output of a node")
        if any(isinstance(value, Rows) for value in inputs):
            attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
            result: Value = algebra.apply(node.domain, node.op_type, inputs, attributes)
        else:
            result = _folded(node, inputs, opsets)
    except (Unsupported, ValueError, TypeError, IndexError) as error:
        domain = "" if node.domain in ("", "ai.onnx") else f"{node.domain}."
        raise ValueError(f"{where}: node {node.name!r} ({domain}{node.op_type}): {error}") from None
    values[node.output[0]] = result


def _folded(node: NodeProto, inputs: list[Any], opsets: dict[str, int]) -> NDArray[Any]:
    """What a node makes of constants, by ONNX's own definition."""
    from onnx.reference import ReferenceEvaluator

    if node.domain not in ("", "ai.onnx") or node.op_type not in _FOLDED:
        raise Unsupported("is not supported on constants")
    given = {name: value for name, value in zip(node.input, inputs, strict=True) if name}
    try:
        result: Any = ReferenceEvaluator(node, opsets=opsets).run(None, given)
        array = np.asarray(result[0])
        if array.dtype.kind not in "iub":
            as_float_array(array.astype(np.float64), "its result")
    except Exception as error:
        raise Unsupported(f"cannot be evaluated ({error})") from None
    return array
