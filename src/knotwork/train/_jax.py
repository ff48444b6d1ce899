"""JAX at arm's length: imported when first needed, in the precision asked for."""

from __future__ import annotations

import importlib
import importlib.util
from contextlib import AbstractContextManager
from typing import Any


def require_jax() -> None:
    """Raise ImportError with the remedy where JAX or Optax is missing."""
    missing = [name for name in ("jax", "optax") if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"knotwork.train needs JAX and Optax ({' and '.join(missing)} not found); "
            "pip install 'knotwork[train]'"
        )


def precision(dtype: str) -> AbstractContextManager[Any]:
    """float64 inside, where it is asked for; of this thread only, and JAX is as it was afterwards."""
    import jax

    enable: Any = getattr(jax, "enable_x64", None)
    if enable is None:
        # before JAX 0.8
        enable = importlib.import_module("jax.experimental").enable_x64
    return enable(dtype == "float64")
