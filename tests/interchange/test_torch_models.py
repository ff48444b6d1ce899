from __future__ import annotations

import io

import numpy as np
import pytest
from example_networks import SIZES, assert_predicts, formula, inputs, network, same_arrays

import knotwork as kw

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional


def run(module, X):
    dtype = next(module.parameters()).dtype
    with torch.no_grad():
        return module(torch.tensor(X, dtype=dtype)).double().numpy()


def seeded(make):
    torch.manual_seed(0)
    return make()


class Skip(nn.Module):
    def __init__(self, d=3, K=5, T=2):
        super().__init__()
        self.direct = nn.Linear(d, T)
        self.head = nn.Linear(K, T)
        self.body = nn.Linear(d, K)

    def forward(self, x):
        return self.head(torch.relu(self.body(x))) + self.direct(x)


class Of(nn.Module):
    """Linear layers a, b and any function of them."""

    def __init__(self, function, d=3, K=5, T=2):
        super().__init__()
        self.a, self.b, self.function = nn.Linear(d, K), nn.Linear(K, T), function

    def forward(self, x):
        return self.function(self, x)


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize(("d", "K", "T"), SIZES)
def test_out_and_back(d, K, T, skip):
    net, X = network(d, K, T, skip), inputs(d)
    module = kw.to_torch(net)
    assert isinstance(module, nn.Sequential) == (not skip or K == 0)
    assert_predicts(run(module, X), formula(net, X))
    same_arrays(kw.from_torch(module), net)
    same_arrays(kw.from_torch(module.state_dict()), net)


def test_a_module_that_was_converted_can_be_saved_whole_and_trained():
    module = kw.to_torch(network())
    buffer = io.BytesIO()
    torch.save(module, buffer)
    buffer.seek(0)
    same_arrays(kw.from_torch(torch.load(buffer, weights_only=False)), network())
    module(torch.ones(1, 3, dtype=torch.float64)).sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_conversion_leaves_the_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    kw.from_torch(kw.to_torch(network()))
    assert torch.rand(1) == expected


def test_reading_leaves_the_module_as_it_was():
    module = seeded(MODULES["skip"])
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    kw.from_torch(module)
    assert module.training
    for name, tensor in module.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, before[name])


def test_float32_out():
    net, X = network(), inputs().astype(np.float32)
    module = kw.to_torch(net, "float32")
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
    assert_predicts(run(module, X), formula(net, X), 1e-5)
    with pytest.raises(ValueError, match="dtype: must be 'float64' or 'float32', got 'float16'"):
        kw.to_torch(net, "float16")
    huge = kw.ReLUNetwork(net.W, net.b, 1e300 * net.V)
    with pytest.raises(ValueError, match="V: has entries beyond the range of float32"):
        kw.to_torch(huge, "float32")
    with pytest.raises(TypeError, match=r"solution\.network"):
        kw.to_torch("net")  # type: ignore[arg-type]


class OwnLinear(nn.Linear):
    pass


MODULES = {
    "a kind of linear layer": lambda: nn.Sequential(OwnLinear(3, 5), nn.ReLU(), nn.Linear(5, 2)),
    "sequential": lambda: nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)),
    "without biases": lambda: nn.Sequential(nn.Linear(3, 5, False), nn.ReLU(), nn.Linear(5, 2, False)),
    "linear": lambda: nn.Linear(3, 2),
    "sequential linear": lambda: nn.Sequential(nn.Linear(3, 2, bias=False)),
    "nested": lambda: nn.Sequential(
        nn.Flatten(), nn.Sequential(nn.Linear(3, 5), nn.Identity(), nn.ReLU(inplace=True)), nn.Linear(5, 2)
    ),
    "dropout that is off": lambda: nn.Sequential(
        nn.Linear(3, 5), nn.ReLU(), nn.Dropout(), nn.Linear(5, 2)
    ).eval(),
    "skip": Skip,
    "skip, equal shapes": lambda: Skip(4, 4, 4),
    "functional": lambda: Of(lambda m, x: m.b(F.relu(m.a(x)))),
    "clamped": lambda: Of(lambda m, x: m.b(m.a(x).clamp(min=0.0))),
    "as many inputs as tasks": lambda: Of(lambda m, x: m.b(F.relu(m.a(x))), 2, 5, 2),
    "backwards": lambda: Of(lambda m, x: m.a(F.relu(m.b(x))), 5, 2, 5),
    "one output without its axis": lambda: Of(lambda m, x: m.b(F.relu(m.a(x)))[:, 0], 3, 5, 1),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_what_it_computes(name):
    module = seeded(MODULES[name]).double()
    net = kw.from_torch(module)
    X = inputs(net.n_inputs)
    assert_predicts(net.predict(X), run(module, X).reshape(len(X), -1))


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float16, 1e-2), (torch.bfloat16, 1e-1)]
)
def test_narrow_weights_are_widened_exactly(dtype, tolerance):
    module = seeded(MODULES["sequential"]).to(dtype)
    net = kw.from_torch(module)
    np.testing.assert_array_equal(net.W, module[0].weight.detach().double().numpy())
    assert_predicts(run(module, inputs()), net.predict(inputs()), tolerance)


def test_state_dicts_and_checkpoints():
    module = seeded(Skip)
    expected = kw.from_torch(module)
    state = module.state_dict()
    for obj in (
        state,
        {name: tensor.numpy() for name, tensor in state.items()},
        {f"module.{name}": tensor for name, tensor in state.items()},
        {"epoch": 3, "state_dict": state},
        {"model_state_dict": state, "optimizer_state_dict": {"state": {}}},
    ):
        same_arrays(kw.from_torch(obj), expected)
    names = {"hidden": "body", "output": "head", "skip": "direct"}
    same_arrays(kw.from_torch(module, names=names), expected)
    square = seeded(lambda: Skip(4, 4, 4))
    with pytest.raises(ValueError, match=r"leave open which layer is which; pass names="):
        kw.from_torch(square.state_dict())
    same_arrays(kw.from_torch(square.state_dict(), names=names), kw.from_torch(square))
    wrong = {"hidden": "head", "output": "body", "skip": "direct"}
    with pytest.raises(ValueError, match="its own forward is not the network"):
        kw.from_torch(square, names=wrong)


def sequential(*layers):
    return lambda: nn.Sequential(*layers)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            sequential(nn.Linear(3, 5), nn.GELU(), nn.Linear(5, 2)),
            "layer '1': GELU is not supported; supported",
        ),
        (sequential(nn.Linear(3, 5), nn.ReLU6(), nn.Linear(5, 2)), "layer '1': ReLU6 is not supported"),
        (sequential(nn.Linear(3, 5), nn.LeakyReLU(), nn.Linear(5, 2)), "LeakyReLU"),
        (
            sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 2)),
            "layer '1': BatchNorm1d",
        ),
        (
            sequential(nn.Linear(3, 5), nn.ReLU(), nn.Dropout(), nn.Linear(5, 2)),
            r"layer '2': Dropout .*eval\(\)",
        ),
        (
            sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2), nn.ReLU()),
            "2: Linear, 3: ReLU: are not one",
        ),
        (sequential(nn.Linear(3, 5), nn.Linear(5, 2)), "layers 0: Linear, 1: Linear: are not one hidden"),
        (
            sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 2)),
            "0: Linear, 1: ReLU, 2: Linear, 3: ReLU, 4: Linear: are not one hidden layer",
        ),
        (sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(4, 2)), r"layers 0 \(5, 3\) and 2 \(2, 4\)"),
        (sequential(nn.Conv1d(1, 2, 3)), "layer '0': Conv1d is not supported"),
        (lambda: nn.GELU(), "module: GELU is not supported"),
        (lambda: nn.ReLU(), "0 linear layers"),
        (
            lambda: Of(lambda m, x: m.b(F.gelu(m.a(x)))),
            "Of: its own forward is not the network of its layers a",
        ),
        (lambda: Of(lambda m, x: m.b(F.relu6(m.a(x)))), "its own forward"),
        (lambda: Of(lambda m, x: m.b(F.leaky_relu(m.a(x), 1e-9))), "its own forward"),
        (lambda: Of(lambda m, x: m.b(F.relu(m.a(x))) + 1e-9), "its own forward"),
        (lambda: Of(lambda m, x: m.b(F.dropout(F.relu(m.a(x)), 0.1))), "its own forward"),
        (lambda: Of(lambda m, x: torch.softmax(m.b(F.relu(m.a(x))), 1)), "its own forward"),
        (lambda: Of(lambda m, x: m.b(F.relu(m.a(x))).sum(1)), "its own forward"),
        (lambda: Of(lambda m, x: (m.b(F.relu(m.a(x))),)), "its own forward"),
        (lambda: Of(lambda m, x: m.b(m.missing(x))), "could not be run in float64 on inputs of shape"),
        (lambda: Of(lambda m, x: m.b(F.relu(m.a(x.float())))), "could not be run in float64"),
        (lambda: nn.Sequential(nn.LazyLinear(5), nn.ReLU(), nn.LazyLinear(2)), r"0\.weight: cannot be read"),
    ],
)
def test_what_is_no_network_is_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        kw.from_torch(seeded(make))


def test_a_function_beside_its_layers_only_far_from_the_origin_is_found():
    # equal to a network wherever |x| < 50
    module = seeded(lambda: Of(lambda m, x: m.b(F.relu(m.a(x))) + F.relu(x.abs().sum(1, keepdim=True) - 50)))
    with pytest.raises(ValueError, match="its own forward"):
        kw.from_torch(module)


def test_a_bend_is_looked_at_where_it_is():
    # linear but for a bend 2006 away from the origin, which random inputs would not reach
    def bent(activation):
        module = seeded(lambda: Of(lambda m, x: m.b(activation(m.a(x))), 1, 1, 1)).double()
        with torch.no_grad():
            module.a.weight.fill_(0.5)
            module.a.bias.fill_(0.5 * 2e6)
        return module

    assert kw.from_torch(bent(F.relu)).knots.location == pytest.approx([-2e6])
    with pytest.raises(ValueError, match="its own forward"):
        kw.from_torch(bent(lambda z: z))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_named(value):
    module = seeded(MODULES["sequential"])
    with torch.no_grad():
        module[2].weight[1, 3] = value
    for obj in (module, module.state_dict()):
        with pytest.raises(ValueError, match=r"2\.weight: (NaN|infinite value) at index \(1, 3\)"):
            kw.from_torch(obj)


def test_other_objects_are_refused():
    with pytest.raises(TypeError, match=r"obj: .* got str; of a file use kw\.load_network"):
        kw.from_torch("model.pt")
    with pytest.raises(TypeError, match="state dict: 'epoch' holds a int"):
        kw.from_torch({"epoch": 3})
    with pytest.raises(TypeError, match=r"0\.weight: holds complex numbers"):
        kw.from_torch({"0.weight": torch.ones(2, 2, dtype=torch.complex64)})
    with pytest.raises(ValueError, match=r"0\.weight: cannot be read as an array of numbers"):
        kw.from_torch({"0.weight": torch.ones(2, 2, device="meta")})
