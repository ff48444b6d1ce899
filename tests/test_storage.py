from __future__ import annotations

import json
import os
import pickle
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import knotwork as kw
from knotwork import storage


def network(seed=0, n_neurons=5):
    rng = np.random.default_rng(seed)
    return kw.ReLUNetwork(
        rng.standard_normal((n_neurons, 1)),
        rng.standard_normal(n_neurons),
        rng.standard_normal((n_neurons, 2)),
        rng.standard_normal((1, 2)),
        rng.standard_normal(2),
    )


def solution(lam=0.3, gaps=False, weights=False, **limits):
    rng = np.random.default_rng(1)
    x = np.sort(rng.uniform(0, 4, 30))
    Y = np.column_stack([np.sin(x), np.cos(x)]) + 0.1 * rng.standard_normal((30, 2))
    if gaps:
        Y[rng.random((30, 2)) < 0.3] = np.nan
    weight = rng.uniform(0.5, 2.0, 30) if weights else None
    return kw.solve(kw.Problem(x, Y, lam, sample_weight=weight), **limits)


def same_arrays(one, other, names):
    for name in names:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("n_neurons", [0, 1, 300])
def test_a_network_comes_back_bit_for_bit(tmp_path, n_neurons):
    path = tmp_path / "net.safetensors"
    net = network(n_neurons=n_neurons)
    kw.save(net, path)
    back = kw.load(path)
    assert isinstance(back, kw.ReLUNetwork)
    same_arrays(back, net, ["W", "b", "V", "A", "c"])


@pytest.mark.parametrize(
    "case",
    [{}, {"gaps": True}, {"weights": True}, {"lam": 0.0}, {"lam": 0.0, "gaps": True}, {"max_rounds": 1}],
)
def test_a_solution_comes_back(tmp_path, case):
    path = tmp_path / "solution.safetensors"
    before = solution(**case)
    kw.save(before, path)
    back = kw.load(path)
    assert isinstance(back, kw.Solution)
    same_arrays(back.network, before.network, ["W", "b", "V", "A", "c"])
    same_arrays(back.problem, before.problem, ["X", "Y"])
    if case.get("weights"):
        np.testing.assert_array_equal(back.problem.sample_weight, before.problem.sample_weight)
    else:
        assert back.problem.sample_weight is None
    assert (back.problem.lam, back.problem.penalty, back.problem.loss) == (
        before.problem.lam,
        before.problem.penalty,
        before.problem.loss,
    )
    assert (back.status, back.trace) == (before.status, before.trace)
    for name in ("primal", "dual", "gap", "relative_gap", "bound", "slack", "rigour"):
        assert getattr(back.certificate, name) == getattr(before.certificate, name)
    np.testing.assert_array_equal(back.certificate.worst_neuron, before.certificate.worst_neuron)
    np.testing.assert_allclose(back.certificate.dual_point, before.certificate.dual_point, rtol=1e-12)


@pytest.mark.parametrize("penalty", [kw.Penalty(), kw.Penalty(False, "none"), kw.Penalty(True, "nuclear")])
@pytest.mark.parametrize(
    "loss",
    [
        "huber",
        "logistic",
        "poisson",
        "multinomial",
        kw.Huber(0.3),
        kw.Quantile(0.2),
        ["squared", kw.Quantile(0.7)],
        ["poisson", "logistic"],
    ],
    ids=str,
)
def test_a_solution_of_any_loss_comes_back(tmp_path, loss, penalty):
    rng = np.random.default_rng(2)
    y = rng.integers(0, 2, 12).astype(float)
    Y = np.column_stack([y, 1.0 - y])
    before = kw.solve(kw.Problem(rng.uniform(-1, 1, 12), Y, 0.2, loss, penalty))
    kw.save(before, tmp_path / "s")
    back = kw.load(tmp_path / "s")
    assert isinstance(back, kw.Solution)
    same_arrays(back.network, before.network, ["W", "b", "V", "A", "c"])
    assert back.problem.loss == before.problem.loss
    assert back.problem.penalty == penalty
    assert (back.status, back.certificate.primal, back.certificate.dual) == (
        before.status,
        before.certificate.primal,
        before.certificate.dual,
    )
    # the certificate can be made again from what was saved
    again = kw.certify(back.problem, back.network, dual_point=back.certificate.dual_point)
    assert again.primal == before.certificate.primal
    assert again.dual == pytest.approx(before.certificate.dual, rel=1e-6)


def test_numbers_that_are_not_finite_come_back(tmp_path):
    before = solution()
    numbers = {"primal": np.inf, "gap": np.inf, "dual": -np.inf, "relative_gap": np.nan}
    odd = replace(before.certificate, **numbers, worst_neuron=None)
    trace = (kw.TraceEntry(0, 0.1, np.inf, np.nan, 2),)
    kw.save(replace(before, certificate=odd, trace=trace), tmp_path / "s")
    back = kw.load(tmp_path / "s")
    assert isinstance(back, kw.Solution)
    assert (back.certificate.primal, back.certificate.dual) == (np.inf, -np.inf)
    assert np.isnan(back.certificate.relative_gap)
    assert back.certificate.worst_neuron is None
    assert np.isnan(back.trace[0].gap)
    assert back.trace[0].n_knots == 2


def test_metadata_comes_back_as_it_was_given(tmp_path):
    notes = {
        "tasks": ["<script>", "../../x", "$a$", "é\n"],
        "lam": 0.1 + 0.2,
        "origin": None,
        "scale": np.array([1.5, 2.5]),
        "count": np.int64(3),
        "nested": {"a": [1, {"b": True}]},
        "infinite": float("inf"),
    }
    kw.save(network(), tmp_path / "a", metadata=notes)
    expected = notes | {"scale": [1.5, 2.5], "count": 3}
    assert kw.read_metadata(tmp_path / "a") == expected
    kw.save(network(), tmp_path / "b")
    assert kw.read_metadata(tmp_path / "b") == {}


def test_what_cannot_be_saved(tmp_path):
    path = tmp_path / "a"
    with pytest.raises(TypeError, match="obj: must be a ReLUNetwork, a StackedNetwork or"):
        kw.save({}, path)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="metadata: 'f' holds a function"):
        kw.save(network(), path, metadata={"f": lambda: 0})
    with pytest.raises(ValueError, match=r"metadata: 'knotwork\.type'"):
        kw.save(network(), path, metadata={"knotwork.type": "Solution"})
    assert not os.listdir(tmp_path)


def test_an_existing_file_is_not_lost(tmp_path, monkeypatch):
    path = tmp_path / "a"
    kw.save(network(0), path)

    def half(tensors, target, metadata):
        target.write_bytes(b"half a")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", half)
    with pytest.raises(OSError, match="No space left"):
        kw.save(network(1), path)
    same_arrays(kw.load(path), network(0), ["W", "b", "V"])
    assert os.listdir(tmp_path) == ["a"]


def test_no_place_to_write(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot be written"):
        kw.save(network(), tmp_path / "file" / "a.safetensors")


def test_no_file_to_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        kw.load(tmp_path / "missing")
    with pytest.raises(IsADirectoryError, match="is not a file"):
        kw.load(tmp_path)


def test_a_file_cut_anywhere_is_refused(tmp_path):
    path = tmp_path / "a"
    kw.save(solution(), path, metadata={"tasks": ["a", "b"]})
    whole = path.read_bytes()
    for length in [0, 1, 7, 8, 9, 50, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="safetensors file") as caught:
            kw.load(path)
        assert str(path) in str(caught.value)


class Bomb:
    def __reduce__(self):
        return os.mkdir, (os.environ["KNOTWORK_TEST_BOMB"],)


def foreign_files(folder):
    pickle_file = folder / "pickle"
    pickle_file.write_bytes(pickle.dumps(Bomb()))
    zipped = folder / "zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))
    numbers = folder / "npy"
    with numbers.open("wb") as handle:
        np.save(handle, np.array([Bomb()], dtype=object), allow_pickle=True)
    text = folder / "text"
    text.write_text("month,jobs\n2006,1\n")
    other = folder / "other"
    save_file({"weight": np.ones((2, 2))}, other)
    named = folder / "named"
    save_file({"weight": np.ones((2, 2))}, named, metadata={"format": "pt"})
    return [pickle_file, zipped, numbers, text, other, named]


def test_foreign_files_are_refused_and_not_run(tmp_path, monkeypatch):
    bomb = tmp_path / "exploded"
    monkeypatch.setenv("KNOTWORK_TEST_BOMB", str(bomb))
    for path in foreign_files(tmp_path):
        for read in (kw.load, kw.read_metadata):
            with pytest.raises(ValueError, match=r"knotwork\.save") as caught:
                read(path)
            assert str(path) in str(caught.value)
    assert not bomb.exists()


def spoilt(path, change, **text):
    """The file of a network or solution with one thing changed."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as handle:
        metadata = handle.metadata() | text
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata=metadata)


def set_to(name, value):
    return lambda tensors: tensors.__setitem__(name, value)


def drop(name):
    return lambda tensors: tensors.pop(name)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (set_to("V", np.ones((4, 2))), "V"),
        (set_to("W", np.full((5, 1), np.nan)), "W"),
        (set_to("c", np.array([1.0, np.inf])), "c"),
        (set_to("b", np.zeros(5, dtype=np.float32)), "float64"),
        (set_to("extra", np.zeros(1)), "extra"),
        (drop("A"), "arrays"),
    ],
)
def test_a_spoilt_network_is_refused(tmp_path, change, reason):
    path = tmp_path / "a"
    kw.save(network(), path)
    spoilt(path, change)
    with pytest.raises(ValueError, match=reason) as caught:
        kw.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (set_to("Y", np.ones((29, 2))), "Y"),
        (set_to("Y", np.ones((30, 3))), "tasks"),
        (set_to("certificate", np.ones(3)), "certificate"),
        (set_to("trace", np.ones((2, 3))), "unpack"),
        (set_to("worst_neuron", np.ones(3)), "worst_neuron"),
        (drop("X"), "arrays"),
    ],
)
def test_a_spoilt_solution_is_refused(tmp_path, change, reason):
    path = tmp_path / "a"
    kw.save(solution(), path)
    spoilt(path, change)
    with pytest.raises(ValueError, match=reason):
        kw.load(path)


@pytest.mark.parametrize(
    "record",
    [
        {"lam": -1.0},
        {"lam": float("nan")},
        {"status": "FINE"},
        {"rigour": None},
        {"loss": "cubic"},
        {"penalty": {"biases": "no"}},
        {"penalty": []},
    ],
)
def test_a_spoilt_record_is_refused(tmp_path, record):
    path = tmp_path / "a"
    before = solution()
    kw.save(before, path)
    whole = storage._solution_record(before) | record
    spoilt(path, lambda tensors: None, **{"knotwork.solution": json.dumps(whole)})
    with pytest.raises(ValueError, match="do not fit together"):
        kw.load(path)


def test_another_version_is_refused(tmp_path):
    path = tmp_path / "a"
    kw.save(network(), path)
    spoilt(path, lambda tensors: None, **{"knotwork.format_version": "2"})
    with pytest.raises(ValueError, match="format version 2"):
        kw.load(path)
