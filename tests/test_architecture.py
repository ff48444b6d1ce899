"""The rooms and their one direction: a file imports from lines above its own, or its own folder."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import knotwork

PACKAGE = Path(knotwork.__file__).parent

# the order of docs/architecture.md, ground floor first; an entry is a file or a folder
ROOMS = [
    "_validate",
    "penalty",
    "losses",
    "free_parts",
    "network",
    "stacked",
    "problem",
    "conversions",
    "_kernels",
    "points",
    "bins",
    "dual_norm",
    "certificate",
    "solution",
    "_files",
    "scaling",
    "dates",
    "_table_files",
    "tables",
    "storage",
    "interchange",
    "datasets",
    "solvers",
    "streaming",
    "train",
    "theory",
    "deep",
    "selection",
    "auditing",
    "workflow",
    "proofs",
    "fit_files",
    "comparing",
    "estimators",
    "experiments",
    "report",
    "cli",
    "__main__",
]
# plotting and tables stay out of the numerical rooms; each outer package has one door
ONLY_IN = {
    "matplotlib": {"report"},
    "pandas": {"tables", "_table_files", "dates"},
    "typer": {"cli"},
    "safetensors": {"storage", "train", "experiments"},
    "threadpoolctl": {"solvers"},
    "joblib": {"selection", "experiments", "comparing"},
    "numba": {"_kernels"},
    "jax": {"train", "deep"},
    "optax": {"train"},
    "torch": {"interchange"},
    "onnx": {"interchange"},
    "sklearn": {"interchange", "deep", "estimators", "comparing"},
    "plotly": {"report"},
    "pyarrow": {"_table_files", "streaming"},
}


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE).with_suffix("")
        if relative.parts != ("__init__",):
            yield path, relative.parts


def imports(path, parts):
    """(dotted parts, is inside the package) of every import in a file, lazy ones too."""
    package = parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield tuple(alias.name.split(".")), alias.name.split(".")[0] == "knotwork"
        elif isinstance(node, ast.ImportFrom):
            named = tuple(node.module.split(".")) if node.module else ()
            if node.level == 0:
                yield named, named[:1] == ("knotwork",)
            else:
                base = package[: len(package) - (node.level - 1)]
                if named:
                    yield base + named, True
                else:
                    for alias in node.names:
                        yield (*base, alias.name), True


def test_every_file_has_its_place_in_the_order():
    rooms = {parts[0] for _, parts in modules()}
    assert rooms == set(ROOMS)


def test_a_file_imports_only_from_rooms_above_its_own():
    wrong = []
    for path, parts in modules():
        for target, inside in imports(path, parts):
            if not inside:
                continue
            room = target[1] if target[0] == "knotwork" and len(target) > 1 else target[0]
            if room == "__version__" or room == parts[0]:
                continue
            if ROOMS.index(room) > ROOMS.index(parts[0]):
                wrong.append(f"{'/'.join(parts)} imports {room}")
    assert not wrong


def test_outer_packages_enter_by_one_door():
    wrong = []
    for path, parts in modules():
        for target, inside in imports(path, parts):
            allowed = ONLY_IN.get(target[0])
            if not inside and allowed is not None and parts[0] not in allowed:
                wrong.append(f"{'/'.join(parts)} imports {target[0]}")
    assert not wrong


def test_import_is_lazy():
    code = (
        "import sys, knotwork; "
        "heavy = {'numpy', 'scipy', 'pandas', 'matplotlib', 'safetensors', 'rich'} & set(sys.modules); "
        "print(sorted(heavy))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_every_public_name_resolves():
    for name in knotwork.__all__:
        assert getattr(knotwork, name) is not None
    assert set(knotwork.__all__) <= set(dir(knotwork))
