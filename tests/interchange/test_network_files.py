"""load_network, and that the room needs none of the libraries it speaks to."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest
from example_networks import assert_predicts, inputs, network, same_arrays
from safetensors.numpy import save_file

import knotwork as kw

NAMES = ("W", "b", "V", "A", "c")


def state_of(net, dtype=np.float64):
    arrays = {"0.weight": net.W, "0.bias": net.b, "2.weight": net.V.T, "2.bias": net.c}
    return {name: np.ascontiguousarray(array, dtype) for name, array in arrays.items()}


def arrays_of(net):
    return {name: getattr(net, name) for name in NAMES}


@pytest.mark.parametrize("K", [0, 1, 5, 300])
def test_our_own_files(tmp_path, K):
    net = network(K=K)
    kw.save(net, tmp_path / "net.safetensors")
    same_arrays(kw.load_network(tmp_path / "net.safetensors"), net)
    np.savez(tmp_path / "net.npz", **arrays_of(net))
    same_arrays(kw.load_network(str(tmp_path / "net.npz")), net)
    np.savez_compressed(tmp_path / "net2.npz", W=net.W, b=net.b, V=net.V)
    same_arrays(kw.load_network(tmp_path / "net2.npz"), kw.ReLUNetwork(net.W, net.b, net.V))


def test_of_a_solution_the_network(tmp_path):
    solution = kw.solve(kw.Problem([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 0.0, 1.0], 0.1))
    kw.save(solution, tmp_path / "solution")
    same_arrays(kw.load_network(tmp_path / "solution"), solution.network)


def test_onnx_files(tmp_path):
    pytest.importorskip("onnx")
    kw.to_onnx(network(), tmp_path / "net.onnx")
    same_arrays(kw.load_network(tmp_path / "net.onnx"), network())


@pytest.mark.parametrize("suffix", [".safetensors", "", ".model", ".pt"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_a_state_dict_in_safetensors(tmp_path, dtype, suffix):
    path, net = tmp_path / f"net{suffix}", network(skip=False)
    save_file(state_of(net, dtype), path, metadata={"format": "pt"})
    back = kw.load_network(path)
    np.testing.assert_array_equal(back.W, net.W.astype(dtype))
    np.testing.assert_array_equal(back.V, net.V.astype(dtype))


def test_our_arrays_and_no_neurons_in_foreign_safetensors(tmp_path):
    for net in (network(), network(K=0)):
        save_file(
            {name: array.copy() for name, array in arrays_of(net).items()}, tmp_path / "net.safetensors"
        )
        same_arrays(kw.load_network(tmp_path / "net.safetensors"), net)


def test_bfloat16_in_safetensors_is_widened_exactly(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_tensors

    path = tmp_path / "net.safetensors"
    state = {name: torch.tensor(a).bfloat16() for name, a in state_of(network(skip=False)).items()}
    save_tensors(state, path)
    same_arrays(kw.load_network(path), kw.from_torch(state))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt"])
def test_a_state_dict_of_torch(tmp_path, suffix, zipped):
    torch = pytest.importorskip("torch")
    path = tmp_path / f"net{suffix}"
    for net in (network(), network(skip=False), network(K=0)):
        state = kw.to_torch(net).state_dict()
        for obj in (state, {"epoch": 3, "state_dict": state}):
            torch.save(obj, path, _use_new_zipfile_serialization=zipped)
            same_arrays(kw.load_network(path), net)


def test_names_are_handed_on(tmp_path):
    state = {"a.weight": np.arange(3.0)[:, None], "b.weight": np.ones((1, 3))}
    path = tmp_path / "net.safetensors"
    save_file(state, path)
    with pytest.raises(ValueError, match=r"net\.safetensors: the shapes of .*; pass names="):
        kw.load_network(path)
    names = {"hidden": "a", "output": "b"}
    assert kw.load_network(path, names=names).n_neurons == 3
    np.savez(tmp_path / "net.npz", **state)
    assert kw.load_network(tmp_path / "net.npz", names=names).n_neurons == 3


def test_names_are_handed_on_to_torch(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "net.pt"
    torch.save({"a.weight": torch.ones(3, 1), "b.weight": torch.ones(1, 3)}, path)
    assert kw.load_network(path, names={"hidden": "a", "output": "b"}).n_neurons == 3


def test_the_content_of_an_archive_says_what_it_is(tmp_path):
    net, path = network(), tmp_path / "net.model"
    with path.open("wb") as handle:
        np.savez(handle, **arrays_of(net))
    same_arrays(kw.load_network(path), net)
    torch = pytest.importorskip("torch")
    torch.save(kw.to_torch(net).state_dict(), path)
    same_arrays(kw.load_network(path), net)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        kw.load_network(tmp_path / "missing.pt")
    with pytest.raises(IsADirectoryError, match="is not a file"):
        kw.load_network(tmp_path)
    for name, content in (("a", b""), ("a.csv", b"x,y\n1,2\n"), ("a.h5", b"\x89HDF\r\n\x1a\n")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=r"no model file that is known; supported are \.safetensors"):
            kw.load_network(tmp_path / name)


@pytest.mark.parametrize(
    "kind", ["ours.safetensors", "theirs.safetensors", "arrays.npz", "net.onnx", "net.pt"]
)
def test_a_file_cut_anywhere_is_refused(tmp_path, kind):
    path, net = tmp_path / kind, network(K=2, skip=False)
    if kind == "ours.safetensors":
        kw.save(net, path)
    elif kind == "theirs.safetensors":
        save_file(state_of(net), path)
    elif kind == "arrays.npz":
        np.savez_compressed(path, **arrays_of(net))
    elif kind == "net.onnx":
        pytest.importorskip("onnx")
        kw.to_onnx(net, path)
    else:
        pytest.importorskip("torch").save(kw.to_torch(net).state_dict(), path)
    whole = path.read_bytes()
    for length in {*range(0, len(whole), max(1, len(whole) // 100)), len(whole) - 1}:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"whole|valid") as caught:
            kw.load_network(path)
        assert str(caught.value).startswith(str(path))
    path.write_bytes(whole)
    assert_predicts(kw.load_network(path).predict(inputs()), net.predict(inputs()))


class Bomb:
    """Makes a folder when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, (os.environ["KNOTWORK_TEST_BOMB"],)


def hostile(folder):
    """Files that would run code if a pickle in them were loaded."""
    bomb = pickle.dumps(Bomb())
    for name in ("a.pkl", "b.joblib", "c.pickle", "d", "e.pt", "f.npz", "g.safetensors", "h.onnx", "i.bin"):
        (folder / name).write_bytes(bomb)
    for name in ("j.pt", "k.npz", "l.model"):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("archive/data.pkl", bomb)
            archive.writestr("archive/version", "3\n")
    np.savez(folder / "m.npz", W=np.array([Bomb()], dtype=object), b=np.ones(1), V=np.ones((1, 1)))
    (folder / "n.pkl").write_bytes(pickle.dumps(Bomb(), protocol=0))
    with zipfile.ZipFile(folder / "o.npz", "w") as archive:
        archive.writestr("W.npy", bomb)


def test_nothing_in_a_hostile_file_is_run(tmp_path, monkeypatch):
    exploded = tmp_path / "exploded"
    monkeypatch.setenv("KNOTWORK_TEST_BOMB", str(exploded))
    folder = tmp_path / "files"
    folder.mkdir()
    hostile(folder)
    torch = None
    try:
        import torch

        torch.save(Bomb(), folder / "p.pt")
        torch.save({"0.weight": torch.ones(2, 2), "hook": Bomb()}, folder / "q.pth")
    except ImportError:
        pass
    files = sorted(folder.iterdir())
    for path in files:
        refusal = (ValueError,) if torch else (ValueError, ImportError)
        with pytest.raises(refusal) as caught:
            kw.load_network(path)
        assert not exploded.exists(), path
        assert "weights_only=False" not in str(caught.value)
    # the pickles do explode where they are loaded
    pickle.loads((folder / "a.pkl").read_bytes())
    assert exploded.exists()


def test_one_array_alone_is_no_network(tmp_path):
    with (tmp_path / "net.npz").open("wb") as handle:
        np.save(handle, np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"is no NumPy archive of arrays; write it by numpy\.savez"):
        kw.load_network(tmp_path / "net.npz")


def test_what_to_do_instead_of_a_pickle(tmp_path):
    for name, content in (("net.pkl", b"any"), ("net.joblib", b"any"), ("net", pickle.dumps([1.0]))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=r"no pickle is ever loaded; .*kw\.from_sklearn"):
            kw.load_network(tmp_path / name)


def test_a_whole_module_in_a_file_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "net.pt"
    torch.save(kw.to_torch(network()), path)
    with pytest.raises(
        ValueError, match=r"holds more than tensors \(.*\).*torch\.save\(model\.state_dict\(\)"
    ):
        kw.load_network(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(kw.to_torch(network())).save(path)
    with pytest.raises(ValueError, match="TorchScript archives") as caught:
        kw.load_network(path)
    assert "trusted" not in str(caught.value)
    torch.save([1, 2], path)
    with pytest.raises(TypeError, match=r"net\.pt: obj: must be a PyTorch module or state dict, got list"):
        kw.load_network(path)


def test_a_pytorch_that_hostile_files_get_past_is_not_used(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    path = tmp_path / "net.pt"
    torch.save(kw.to_torch(network()).state_dict(), path)
    for version in ("2.5.1", "2.9.1+cpu"):
        monkeypatch.setattr(torch, "__version__", version)
        with pytest.raises(ValueError, match=r"install torch>=2\.10"):
            kw.load_network(path)
    for version in ("2.10.0a0+git", "3.0.0"):
        monkeypatch.setattr(torch, "__version__", version)
        same_arrays(kw.load_network(path), network())


def header(text, body=b""):
    return len(text).to_bytes(8, "little") + text.encode() + body


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header("{]"), "Expecting"),
        (header('{"W": 3}'), "not subscriptable"),
        (header('{"W": {"dtype": "F64", "shape": [1]}}'), "data_offsets"),
        (
            header('{"W": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}}', b"a"),
            "F8_E4M3; supported",
        ),
        (header('{"W": {"dtype": "F64", "shape": [-1, -1], "data_offsets": [0, 8]}}', b"12345678"), "shape"),
        (
            header('{"W": {"dtype": "F64", "shape": [2], "data_offsets": [0, 8]}}', b"12345678"),
            "does not fill",
        ),
        (
            header('{"W": {"dtype": "F64", "shape": [1], "data_offsets": [8, 16]}}', b"1234567812345678"),
            "fill",
        ),
        (
            header('{"W": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}}', b"123456789"),
            "1 bytes belong",
        ),
        (header('{"__metadata__": [1]}'), "metadata"),
        ((2**63).to_bytes(8, "little") + b"{}", "ends before its header"),
    ],
)
def test_malformed_safetensors(tmp_path, content, message):
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"is no whole safetensors file.*{message}"):
        kw.load_network(path)


def test_weights_that_are_not_finite_or_do_not_fit_are_named(tmp_path):
    path, net = tmp_path / "net.npz", network()
    for name in NAMES:
        spoilt = arrays_of(net)
        spoilt[name] = np.full_like(spoilt[name], np.nan)
        np.savez(path, **spoilt)
        with pytest.raises(ValueError, match=rf"net\.npz: {name}: NaN at index"):
            kw.load_network(path)
    np.savez(path, W=net.W, b=net.b[:2], V=net.V)
    with pytest.raises(ValueError, match=r"net\.npz: b: must have shape \(5,\) beside W \(5, 3\)"):
        kw.load_network(path)
    np.savez(path, W=net.W)
    with pytest.raises(ValueError, match=r"net\.npz: W: of shape \(5, 3\) is no weight matrix"):
        kw.load_network(path)


def test_the_room_imports_none_of_the_libraries():
    code = (
        "import sys, knotwork as kw; kw.load_network, kw.from_torch, kw.to_onnx; "
        "print(sorted({'torch', 'onnx', 'sklearn', 'onnxruntime', 'google'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_a_library_that_is_missing_is_named(tmp_path, monkeypatch):
    for library in ("torch", "onnx", "sklearn.compose"):
        monkeypatch.setitem(sys.modules, library, None)
    net = network()
    with pytest.raises(ImportError, match="pip install torch"):
        kw.from_torch({})
    with pytest.raises(ImportError, match="pip install torch"):
        kw.to_torch(net)
    with pytest.raises(ImportError, match=r"pip install 'knotwork\[onnx\]'"):
        kw.to_onnx(net, tmp_path / "net.onnx")
    with pytest.raises(ImportError, match=r"pip install 'knotwork\[onnx\]'"):
        kw.from_onnx(tmp_path / "net.onnx")
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        kw.from_sklearn(None)
    (tmp_path / "net.pt").write_bytes(b"")
    with pytest.raises(ImportError, match="pip install torch"):
        kw.load_network(tmp_path / "net.pt")
    # the other files need none of them
    kw.save(net, tmp_path / "net.safetensors")
    same_arrays(kw.load_network(tmp_path / "net.safetensors"), net)
