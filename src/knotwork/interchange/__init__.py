"""Networks from elsewhere, in and out: PyTorch, ONNX, scikit-learn and plain arrays.

What can be read is f(X) = relu(X W^T + b) V + X A + c: one hidden ReLU layer, with or without a skip
connection, or none. Everything else is refused by name. The other libraries are imported only when a
function here needs them, and no pickle is ever run.
"""

from .files import load_network
from .onnx_reader import from_onnx
from .onnx_writer import to_onnx
from .sklearn_models import from_sklearn
from .torch_models import from_torch, to_torch

__all__ = ["from_onnx", "from_sklearn", "from_torch", "load_network", "to_onnx", "to_torch"]
