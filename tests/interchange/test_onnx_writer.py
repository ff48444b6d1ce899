from __future__ import annotations

import os

import numpy as np
import pytest
from example_networks import SIZES, assert_predicts, formula, inputs, network, same_arrays

import knotwork as kw

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")


def session(path):
    return ort.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])


def shape(value):
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize(("d", "K", "T"), SIZES)
def test_onnxruntime_predicts_the_same_and_it_comes_back(tmp_path, d, K, T, skip):
    path, net = tmp_path / "net.onnx", network(d, K, T, skip)
    kw.to_onnx(net, path)
    for n in (1, 50):
        X = inputs(d, n)
        (Y,) = session(path).run(["Y"], {"X": X})
        assert Y.dtype == np.float64
        assert_predicts(Y, formula(net, X))
    same_arrays(kw.from_onnx(path), net)
    same_arrays(kw.from_onnx(onnx.load(path)), net)


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize(("d", "K", "T"), SIZES)
def test_float32(tmp_path, d, K, T, skip):
    path, net, X = tmp_path / "net.onnx", network(d, K, T, skip), inputs(d).astype(np.float32)
    kw.to_onnx(net, path, "float32")
    (Y,) = session(path).run(None, {"X": X})
    assert Y.dtype == np.float32
    assert_predicts(Y, formula(net, X.astype(float)), 1e-5)
    back = kw.from_onnx(path)
    np.testing.assert_array_equal(back.W, net.W.astype(np.float32))


@pytest.mark.parametrize("K", [0, 5])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_file_says_what_it_is(tmp_path, dtype, K):
    path = tmp_path / "net.onnx"
    kw.to_onnx(network(K=K), path, dtype)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert next(entry.version for entry in model.opset_import if entry.domain == "") <= 21
    assert model.ir_version <= 10
    assert [node.op_type for node in model.graph.node] == (
        ["Gemm"] if K == 0 else ["Gemm", "Relu", "Gemm", "MatMul", "Add"]
    )
    assert [value.name for value in model.graph.input] == ["X"]
    assert [value.name for value in model.graph.output] == ["Y"]
    assert shape(model.graph.input[0]) == ["N", 3]
    assert shape(model.graph.output[0]) == ["N", 2]
    kind = {"float64": onnx.TensorProto.DOUBLE, "float32": onnx.TensorProto.FLOAT}[dtype]
    assert {value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)} == {kind}


def test_a_solved_network_goes_out(tmp_path):
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(0, 10, 60))
    Y = np.column_stack([np.sin(x), np.cos(2 * x)]) + 0.1 * rng.standard_normal((60, 2))
    net = kw.solve(kw.Problem(x, Y, 0.05)).network
    assert net.n_neurons > 3
    kw.to_onnx(net, tmp_path / "net.onnx")
    (given,) = session(tmp_path / "net.onnx").run(None, {"X": x[:, None]})
    assert_predicts(given, net.predict(x))


def test_an_existing_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    kw.to_onnx(network(seed=1), path)

    def refuse(model, full_check):
        raise onnx.checker.ValidationError("no")

    monkeypatch.setattr(onnx.checker, "check_model", refuse)
    with pytest.raises(onnx.checker.ValidationError):
        kw.to_onnx(network(seed=2), path)
    monkeypatch.undo()
    same_arrays(kw.from_onnx(path), network(seed=1))
    kw.to_onnx(network(seed=2), path)
    same_arrays(kw.from_onnx(path), network(seed=2))
    assert os.listdir(tmp_path) == ["net.onnx"]


def test_what_cannot_be_written(tmp_path):
    path, net = tmp_path / "net.onnx", network()
    with pytest.raises(ValueError, match="dtype: must be 'float64' or 'float32', got 'int8'"):
        kw.to_onnx(net, path, "int8")
    with pytest.raises(ValueError, match="A: has entries beyond the range of float32"):
        kw.to_onnx(kw.ReLUNetwork(net.W, net.b, net.V, 1e40 * net.A), path, "float32")
    with pytest.raises(TypeError, match=r"of a Solution pass solution\.network"):
        kw.to_onnx(None, path)  # type: ignore[arg-type]
    with pytest.raises(OSError, match="cannot be written"):
        kw.to_onnx(net, tmp_path / "missing" / "net.onnx")
    assert not os.listdir(tmp_path)
