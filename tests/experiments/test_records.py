from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

import knotwork as kw
from knotwork.experiments import records
from knotwork.experiments.records import Record, find_record, network_arrays, record_key, write_record

SETTINGS = {"seed": 3, "lam": 0.1, "sizes": [2, 3], "names": {"b": None, "a": True}}


def a_record(**arrays):
    arrays = arrays or {"f": np.linspace(0, 1, 7).reshape(7, 1), "n": np.arange(3), "yes": np.array([True])}
    return Record("x-figure-1", SETTINGS, arrays, 1.5)


def test_a_record_comes_back_bit_for_bit(tmp_path):
    network = kw.ReLUNetwork([[1.0], [-2.0]], [0.1, 1 / 3], [[1.0, 2.0], [3.0, np.pi]])
    record = a_record(one=7, **network_arrays("best", network))
    place = write_record(record, tmp_path)
    assert re.fullmatch(r"x-figure-1-[0-9a-f]{16}\.safetensors", place.name)
    found = find_record("x-figure-1", SETTINGS, tmp_path)
    assert found is not None
    assert (found.experiment, found.settings, found.seconds) == ("x-figure-1", SETTINGS, 1.5)
    assert found.versions["numpy"] == np.__version__
    assert (found.key, found.digest) == (record.key, record.digest)
    assert found.number("one") == 7.0
    again = found.network("best")
    for part in ("W", "b", "V", "A", "c"):
        np.testing.assert_array_equal(getattr(again, part), getattr(network, part))
    with pytest.raises(ValueError, match="read-only"):
        found["best.W"][0] = 0.0


def test_the_key_is_of_name_settings_and_code(monkeypatch):
    key = record_key("e", SETTINGS)
    turned = dict(reversed(SETTINGS.items()))
    assert record_key("e", turned) == key
    assert record_key("f", SETTINGS) != key
    assert record_key("e", SETTINGS | {"seed": 4}) != key
    monkeypatch.setattr(records, "code_hash", lambda: "other code")
    assert record_key("e", SETTINGS) != key


def test_no_experiment_imports_what_the_hash_leaves_out():
    code = (
        "import sys; from knotwork.experiments.catalogue import catalogue; "
        "from knotwork.experiments.records import _ASIDE; catalogue(); "
        "print({name.split('.')[1] for name in sys.modules if name.startswith('knotwork.')} & set(_ASIDE))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "set()"


def test_the_digest_is_of_every_bit_and_name_and_shape():
    digest = a_record(f=np.array([0.0, 1.0])).digest
    for other in (
        {"f": [0.0, np.nextafter(1.0, 2.0)]},
        {"g": [0.0, 1.0]},
        {"f": [[0.0, 1.0]]},
        {"f": [0, 1]},
    ):
        assert a_record(**{name: np.array(value) for name, value in other.items()}).digest != digest
    assert a_record(f=np.array([0.0, 1.0])).digest == digest


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "text"])
def test_a_damaged_record_is_none_at_all(tmp_path, damage):
    place = write_record(a_record(), tmp_path)
    content = bytearray(place.read_bytes())
    if damage == "cut":
        content = content[:-3]
    elif damage == "changed":
        content[-1] ^= 1
    elif damage == "empty":
        content = bytearray()
    else:
        content = bytearray(b"no record")
    place.write_bytes(content)
    assert find_record("x-figure-1", SETTINGS, tmp_path) is None


def test_what_is_no_record_is_refused():
    assert find_record("x-figure-1", SETTINGS, "no such folder") is None
    with pytest.raises(TypeError, match="'f' holds object"):
        a_record(f=np.array([None]))
    with pytest.raises(TypeError, match="settings of e: must be what JSON holds"):
        record_key("e", {"rng": np.random.default_rng()})
    with pytest.raises(TypeError, match="settings of e: must be what JSON holds"):
        record_key("e", {"lam": float("nan")})
