from __future__ import annotations

import warnings

import numpy as np
import pytest
from example_networks import assert_predicts, inputs, network
from hypothesis import given, settings
from hypothesis import strategies as st

import knotwork as kw

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

rng = np.random.default_rng(0)
ARRAYS = {
    "W": rng.standard_normal((5, 3)),
    "Wt": rng.standard_normal((3, 5)),
    "b": rng.standard_normal(5),
    "row": rng.standard_normal((1, 5)),
    "V": rng.standard_normal((5, 2)),
    "Vt": rng.standard_normal((2, 5)),
    "A": rng.standard_normal((3, 2)),
    "c": rng.standard_normal(2),
    "AV": rng.standard_normal((8, 2)),
    "V3": rng.standard_normal((3, 2)),
    "mean": rng.standard_normal(3),
    "scale": rng.uniform(0.5, 2.0, 3),
    "two": np.array(2.0),
    "one": np.array([0.7]),
    "column": rng.standard_normal((3, 1)),
    "rows": rng.standard_normal((4, 5)),
    "shape": np.array([-1, 2]),
    "same": np.array([0, -1]),
    "flat": np.array([-1, 1]),
    "four": np.array([4, 5]),
    "nan": np.array([[1.0, 2.0], [np.nan, 3.0]]),
    "zero": np.array([1.0, 0.0, 2.0]),
    "huge": np.full(2, 1e308),
}


def model(nodes, inputs="double[N,3] X", outputs="double[N,2] Y", arrays=None, ir=8):
    text = (
        f'<ir_version: {ir}, opset_import: ["" : 17, "ai.onnx.ml" : 3, "odd.domain" : 1]>'
        f"g ({inputs}) => ({outputs}) {{ {nodes} }}"
    )
    parsed = onnx.parser.parse_model(text)
    for name, array in (ARRAYS | (arrays or {})).items():
        if any(name in node.input for node in parsed.graph.node):
            parsed.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), name))
    return parsed


def run(proto, X):
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    kind = {"tensor(double)": np.float64, "tensor(float)": np.float32}[session.get_inputs()[0].type]
    return session.run(None, {session.get_inputs()[0].name: X.astype(kind)})[0]


HIDDEN = "H = Gemm<transB=1>(X, W, b) R = Relu(H) "
READ = {
    "gemm": HIDDEN + "Y = Gemm<transB=1>(R, Vt, c)",
    "gemm without a bias": "H = Gemm(X, Wt) R = Relu(H) Y = Gemm(R, V)",
    "matmul and add": "M = MatMul(X, Wt) H = Add(b, M) R = Relu(H) P = MatMul(R, V) Y = Add(P, c)",
    "skip": HIDDEN + "P = Gemm(R, V, c) S = MatMul(X, A) Y = Add(S, P)",
    "skip as the bias of a gemm": HIDDEN + "S = MatMul(X, A) Y = Gemm<alpha=0.5, beta=-2.0>(R, V, S)",
    "skip by joining columns": HIDDEN + "J = Concat<axis=1>(R, X) Y = MatMul(J, AV)",
    "skip by two hidden layers": HIDDEN + "H2 = MatMul(X, A) N = Neg(H2) P = Relu(H2) Q = Relu(N)"
    "S = Sub(P, Q) T = MatMul(R, V) Y = Sum(S, T, c)",
    "alpha and beta": "H = Gemm<alpha=0.25, beta=3.0>(X, Wt, row) R = Relu(H) Y = Gemm(R, V)",
    "standardised inputs": "S = Sub(X, mean) D = Div(S, scale) M = MatMul(D, Wt) H = Add(M, row) R = Relu(H)"
    "P = MatMul(R, V) Y = Mul(c, P)",
    "constants computed": "W2 = Transpose<perm=[1,0]>(W) M = MatMul(X, W2) b2 = Mul(b, two) H = Add(M, b2) "
    "R = Relu(H) Y = MatMul(R, V)",
    "constant nodes": "K = Constant<value = double[3,2] {1.0,2.0,3.0,4.0,5.0,6.5}>() M = MatMul(X, K) "
    "R = Relu(M) k = Constant<value_float = 2.5>() q = Cast<to=11>(k) Y = Mul(R, q)",
    "no-ops": "F = Flatten(X) I = Identity(F) C = Cast<to=11>(I) M = MatMul(C, Wt) R = Relu(M) "
    "P = MatMul(R, V) Q = Reshape(P, shape) Y = Reshape(Q, same)",
    "features used twice": HIDDEN + "P = MatMul(R, V) Q = Gemm<transB=1>(R, Vt) Z = Add(P, Q) Y = Sub(c, Z)",
    "features as the output": "H = MatMul(X, A) Y = Relu(H)",
    "bends in the inputs themselves": "R = Relu(X) Y = MatMul(R, V3)",
    "no neuron": "H = Gemm(X, Wt, b) Y = Gemm(H, V, c)",
    "one column made wide": "H = MatMul(X, column) R = Relu(H) P = Add(R, c) Q = Mul(H, c) Y = Add(P, Q)",
    "a column and a number": HIDDEN + "P = MatMul(R, V) Q = Add(P, one) Y = Mul(two, Q)",
    "a branch that leads nowhere": HIDDEN + "Y = MatMul(R, V) N = Sigmoid(Y)",
}


@pytest.mark.parametrize("name", READ)
def test_what_amounts_to_one_hidden_layer_is_read(name):
    proto, X = model(READ[name]), inputs()
    assert_predicts(kw.from_onnx(proto).predict(X), run(proto, X))


def test_a_float_scaler_is_read():
    # scalers of ai.onnx.ml hold float32 whatever the rest is
    proto = model(
        "S = ai.onnx.ml.Scaler<offset=[0.1, -3.0, 2.0], scale=[0.5, 2.0, 1.5]>(X) M = MatMul(S, Wt) "
        "R = Relu(M) Y = MatMul(R, V)",
        "float[N,3] X",
        "float[N,2] Y",
        {name: ARRAYS[name].astype(np.float32) for name in ("Wt", "V")},
    )
    assert_predicts(kw.from_onnx(proto).predict(inputs()), run(proto, inputs()), 1e-5)


def test_neurons_that_lead_nowhere_are_left_out():
    proto = model(HIDDEN + "Y = MatMul(R, V) H2 = MatMul(X, A) R2 = Relu(H2)")
    assert kw.from_onnx(proto).n_neurons == 5


def test_old_files_list_their_weights_among_the_inputs():
    nodes, arrays = READ["gemm"], ("W", "b", "Vt", "c")
    listed = ["double[N,3] X", *(f"double[{','.join(map(str, ARRAYS[k].shape))}] {k}" for k in arrays)]
    proto = model(nodes, ", ".join(listed), ir=3)
    assert_predicts(kw.from_onnx(proto).predict(inputs()), run(model(nodes), inputs()))


@pytest.mark.parametrize("kind", ["FLOAT16", "BFLOAT16", "FLOAT"])
def test_narrow_weights_are_widened_exactly(kind):
    # halves are exact in every floating type
    halves = {name: np.round(2 * ARRAYS[name]) / 2 for name in ("W", "b", "Vt", "c")}
    proto = model(READ["gemm"], arrays=halves)
    expected = kw.from_onnx(proto).predict(inputs())
    for tensor in proto.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        narrow = onnx.helper.make_tensor(
            tensor.name, getattr(onnx.TensorProto, kind), array.shape, array.ravel()
        )
        tensor.CopyFrom(narrow)
    assert_predicts(kw.from_onnx(proto).predict(inputs()), expected)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=8))
def test_a_random_graph_is_read_as_it_runs_or_has_a_second_hidden_layer(steps):
    draw = np.random.default_rng(len(steps))
    nodes, arrays = [], {}
    # name, columns, hidden layers so far
    pool = [("X", 3, 0)]
    for i, (operation, one, other) in enumerate(steps):
        (name, m, depth), (second, n, depth2) = pool[one % len(pool)], pool[other % len(pool)]
        k = f"k{i}"
        arrays[k] = draw.standard_normal((m, 2 + i % 3) if operation == 0 else m)
        made = {
            0: (f"MatMul({name}, {k})", 2 + i % 3, depth),
            1: (f"Add({name}, {k})", m, depth),
            2: (f"Mul({k}, {name})", m, depth),
            3: (f"Sub({k}, {name})", m, depth),
            4: (f"Add({name}, {second if m == n else name})", m, max(depth, depth2 if m == n else 0)),
            5: (f"Concat<axis=1>({second}, {name})", m + n, max(depth, depth2)),
            6: (f"Relu({name})", m, depth + 1),
            7: (f"Sub({second if m == n else name}, {name})", m, max(depth, depth2 if m == n else 0)),
        }
        nodes.append(f"v{i} = {made[operation][0]}")
        pool.append((f"v{i}", *made[operation][1:]))
    name, width, depth = pool[-1]
    proto = model(" ".join(nodes) + f" Y = Identity({name})", outputs=f"double[N,{width}] Y", arrays=arrays)
    if depth > 1:
        with pytest.raises(ValueError, match=r"\(Relu\): is a second hidden layer"):
            kw.from_onnx(proto)
    else:
        assert_predicts(kw.from_onnx(proto).predict(inputs()), run(proto, inputs()), 1e-11)


REFUSED = [
    (
        HIDDEN + "S = Sigmoid(R) Y = MatMul(S, V)",
        r"model: node '' \(Sigmoid\): is not supported; supported are Add,",
    ),
    ("[squash] H = Tanh(X) Y = MatMul(H, A)", r"node 'squash' \(Tanh\)"),
    ("H = odd.domain.Relu(X) Y = MatMul(H, A)", r"\(odd\.domain\.Relu\): is not supported"),
    (
        HIDDEN + "H2 = MatMul(R, V) [again] R2 = Relu(H2) Y = Add(R2, c)",
        r"'again' \(Relu\): is a second hidden layer",
    ),
    (
        HIDDEN + "P = MatMul(R, V) Q = MatMul(X, A) Y = Mul(P, Q)",
        r"\(Mul\): combines two values that both depend",
    ),
    ("T = Transpose(X) Y = Gemm<transA=1>(T, A)", r"\(Transpose\): is not supported"),
    ("Y = Gemm<transA=1>(X, A)", r"\(Gemm\): transposes"),
    ("M = MatMul(rows, X) Y = MatMul(M, A)", r"\(MatMul\): is supported only where its first input"),
    ("D = Div(two, X) Y = MatMul(D, A)", r"\(Div\): is supported only where its first input"),
    ("D = Div(X, zero) Y = MatMul(D, A)", r"\(Div\): divides by zero"),
    ("H = MatMul(X, Wt) G = Add(H, rows) Y = MatMul(G, V)", r"\(Add\): .*constant of shape \(4, 5\)"),
    ("H = MatMul(X, V) Y = Relu(H)", r"\(MatMul\): multiplies 3 columns by an array of shape \(5, 2\)"),
    ("H = MatMul(X, mean) Y = Relu(H)", r"\(MatMul\): multiplies 3 columns by an array of shape \(3,\)"),
    ("H = MatMul(X, A) Y = Add(H, mean)", r"\(Add\): combines 2 columns with 3"),
    ("H = MatMul(X, A) Y = Mul(H, mean)", r"\(Mul\): combines 2 columns with 3"),
    # what skl2onnx 1.20 writes for an MLPRegressor of two outputs
    ("H = MatMul(X, A) Y = Reshape(H, flat)", r"\(Reshape\): .*\(N, 2\) the shape \[-1, 1\], mixing rows"),
    ("H = MatMul(X, Wt) R = Reshape(H, four) Y = MatMul(R, V)", r"the shape \[4, 5\], mixing rows"),
    ("H = MatMul(X, A) Y = Flatten<axis=0>(H)", r"\(Flatten\): mixes the rows"),
    ("J = Concat<axis=0>(X, X) Y = MatMul(J, A)", r"\(Concat\): joins rows"),
    ("I = Cast<to=7>(X) D = Cast<to=11>(I) Y = MatMul(D, A)", r"\(Cast\): rounds"),
    ("S = ReduceSum(X) Y = Mul(S, c)", r"\(ReduceSum\)"),
    ("Y = MatMul(X, nan)", r"tensor 'nan' \[2, 2\]: nan: NaN at index \(1, 0\)"),
    ("H = MatMul(X, A) P = Mul(H, huge) Q = Mul(P, huge) Y = Identity(Q)", "A: infinite value"),
    ("E = Exp(c) H = MatMul(X, A) Y = Add(H, E)", r"\(Exp\): is not supported on constants"),
    ("Y = Identity(c)", "its output does not depend on its input"),
    (
        "k = Constant<value = bool {1}>() Y = If(k) <then_branch = t () => (double[N,3] a) {a = Relu(X)},"
        "else_branch = e () => (double[N,3] z) {z = Neg(X)}>",
        r"\(If\): is not supported",
    ),
]


@pytest.mark.parametrize(("nodes", "message"), REFUSED)
def test_another_graph_is_refused_and_its_node_named(nodes, message):
    with pytest.raises(ValueError, match=message):
        kw.from_onnx(model(nodes))


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ("double[N,3] X, double[N,3] Z", "double[N,2] Y", "has inputs 'X', 'Z'; models of one input"),
        ("double[N,3] X", "double[N,2] Y, double[N,5] R", "has outputs 'Y', 'R'; models of one output"),
        ("double[N,3,4] X", "double[N,2] Y", r"input 'X' must have shape \(N, d\) .* got \('N', 3, 4\)"),
        ("double[N,M] X", "double[N,2] Y", r"got \('N', 'M'\)"),
        ("double[3] X", "double[N,2] Y", r"got \(3,\)"),
        # integers would be divided as such
        ("int64[N,3] X", "double[N,2] Y", "input 'X' has type INT64; floating types are supported"),
    ],
)
def test_inputs_and_outputs_that_a_network_lacks(inputs, outputs, message):
    with pytest.raises(ValueError, match=message):
        kw.from_onnx(model(READ["gemm"], inputs, outputs))


def test_a_batch_of_fixed_size_may_be_reshaped_to_itself():
    nodes = "H = MatMul(X, Wt) R = Reshape(H, four) P = Relu(R) Y = MatMul(P, V)"
    proto = model(nodes, "double[4,3] X", "double[4,2] Y")
    assert_predicts(kw.from_onnx(proto).predict(inputs(n=4)), run(proto, inputs(n=4)))


def test_weights_in_another_file_are_not_looked_for(tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(model(READ["gemm"]), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    assert (tmp_path / "w.bin").exists()
    with pytest.raises(
        ValueError, match="keeps tensor 'W' in another file; write the weights into the model"
    ):
        kw.from_onnx(path)
    inside = model("K = Constant<value = double[3,2] {1.0,2.0,3.0,4.0,5.0,6.5}>() Y = MatMul(X, K)")
    tensor = inside.graph.node[0].attribute[0].t
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    with pytest.raises(ValueError, match="in another file"):
        kw.from_onnx(inside)


def test_functions_of_the_model_itself_are_refused():
    proto = model("Y = MatMul(X, A)")
    node = onnx.helper.make_node("Neg", ["a"], ["b"])
    opsets = [onnx.helper.make_opsetid("", 17)]
    proto.functions.append(onnx.helper.make_function("odd.domain", "MatMul", ["a"], ["b"], [node], opsets))
    with pytest.raises(ValueError, match="defines functions 'MatMul'"):
        kw.from_onnx(proto)


def test_sparse_weights_are_refused():
    proto = model("Y = MatMul(X, A)")
    values = onnx.helper.make_tensor("S", onnx.TensorProto.DOUBLE, [1], [1.0])
    places = onnx.helper.make_tensor("i", onnx.TensorProto.INT64, [1], [2])
    proto.graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(values, places, [3, 2]))
    with pytest.raises(ValueError, match="has sparse weights"):
        kw.from_onnx(proto)


def test_a_file_cut_anywhere_is_refused(tmp_path):
    path = tmp_path / "net.onnx"
    kw.to_onnx(network(), path)
    whole = path.read_bytes()
    assert len(whole) > 300
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"ONNX (file|model)") as caught:
            kw.from_onnx(path)
        assert str(path) in str(caught.value)


def test_a_file_with_bytes_changed_is_read_or_refused_never_else(tmp_path):
    path, X = tmp_path / "net.onnx", inputs()
    kw.to_onnx(network(), path)
    whole, draw = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        spoilt = bytearray(whole)
        spoilt[draw.integers(len(whole))] = draw.integers(256)
        path.write_bytes(bytes(spoilt))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                kw.from_onnx(path).predict(X[:, :1].repeat(3, 1))
        except (ValueError, TypeError):
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("change", ["short", "dims", "dtype", "text"])
def test_a_tensor_that_is_not_what_it_says_is_named(change):
    proto = model(READ["gemm"])
    tensor = proto.graph.initializer[0]
    if change == "short":
        tensor.raw_data = tensor.raw_data[:-8]
    elif change == "dims":
        tensor.dims[0] = 6
    elif change == "dtype":
        tensor.data_type = onnx.TensorProto.COMPLEX128
    else:
        tensor.CopyFrom(onnx.helper.make_tensor("W", onnx.TensorProto.STRING, [1], [b"text"]))
    with pytest.raises((ValueError, TypeError), match=r"tensor( name:)? '?W\b"):
        kw.from_onnx(proto)


def test_no_file_and_other_objects(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        kw.from_onnx(tmp_path / "missing.onnx")
    with pytest.raises(IsADirectoryError, match="is not a file"):
        kw.from_onnx(tmp_path)
    with pytest.raises(TypeError, match=r"model: must be a path or an onnx\.ModelProto, got int"):
        kw.from_onnx(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("dynamo", [False, True])
def test_what_torch_exports_is_read(tmp_path, dynamo):
    torch = pytest.importorskip("torch")
    kept = {}
    if dynamo:
        pytest.importorskip("onnxscript")
        kept = {"external_data": False}
    path, example = tmp_path / "net.onnx", torch.zeros(2, 3, dtype=torch.float64)
    for net in (network(), network(skip=False), network(K=0)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(kw.to_torch(net), (example,), path, dynamo=dynamo, **kept)
        assert_predicts(kw.from_onnx(path).predict(inputs()), net.predict(inputs()))
