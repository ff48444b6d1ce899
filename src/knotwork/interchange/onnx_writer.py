"""Networks to ONNX files."""

from __future__ import annotations

import os

import numpy as np

from .. import __version__
from .._files import replacing
from ..network import ReLUNetwork
from ._shared import checked_network, needing, weights_in

# of 2022: every runtime since reads them, and they hold all that a network needs
_OPSET = 17
_IR_VERSION = 8


def to_onnx(network: ReLUNetwork, path: str | os.PathLike[str], dtype: str = "float64") -> None:
    """Write f(X) = relu(X W^T + b) V + X A + c as an ONNX file, from input "X" (N, d) to output "Y" (N, T).

    N is free. The graph is Gemm, Relu, Gemm; a skip connection adds MatMul and Add; without neurons it is
    one Gemm. Opset 17, IR version 8. `from_onnx` reads the same weights back.

    A runtime sums over neurons as the formula does: where large terms cancel, as they do in a network
    that goes through noisy labels, `predict` is the more accurate of the two in one dimension.

    Parameters
    ----------
    network : what to write.
    path : the file; one that exists is replaced when the new one is complete, and not before.
    dtype : "float64" or "float32", of weights, input and output. In float32 inputs are rounded
        too: subtract an origin from inputs that are large beside their range.

    Raises
    ------
    ImportError : without the onnx package.
    TypeError, ValueError : for another object or dtype, or weights beyond the range of float32.
    OSError : when the file cannot be written.
    """
    weights = weights_in(checked_network(network), dtype)
    with needing("onnx"):
        import onnx
        from onnx import helper, numpy_helper

    if network.n_neurons == 0:
        nodes = [helper.make_node("Gemm", ["X", "A", "c"], ["Y"], name="affine")]
        used = ["A", "c"]
    else:
        skips = bool(np.any(network.A))
        bent = "bent" if skips else "Y"
        nodes = [
            helper.make_node("Gemm", ["X", "W", "b"], ["inner"], name="hidden", transB=1),
            helper.make_node("Relu", ["inner"], ["features"], name="relu"),
            helper.make_node("Gemm", ["features", "V", "c"], [bent], name="output"),
        ]
        if skips:
            nodes.append(helper.make_node("MatMul", ["X", "A"], ["straight"], name="skip"))
            nodes.append(helper.make_node("Add", ["bent", "straight"], ["Y"], name="sum"))
        used = ["W", "b", "V", "c", "A"] if skips else ["W", "b", "V", "c"]

    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        nodes,
        "knotwork",
        [helper.make_tensor_value_info("X", kind, ["N", network.n_inputs])],
        [helper.make_tensor_value_info("Y", kind, ["N", network.n_tasks])],
        [numpy_helper.from_array(np.ascontiguousarray(weights[name]), name) for name in used],
        doc_string="f(X) = relu(X W^T + b) V + X A + c",
    )
    model = helper.make_model(
        graph,
        producer_name="knotwork",
        producer_version=__version__,
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    with replacing(path) as beside:
        beside.write_bytes(model.SerializeToString())
