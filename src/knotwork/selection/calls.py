"""Calls that outlive the process they run in."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any


def whole_call(function: Callable[..., object], *arguments: object) -> Any:
    """`joblib.delayed(function)(*arguments)` with its arguments in the function.

    joblib gives Dask large arguments as data of their own, which lie on one worker: where that is killed
    they are lost, and all calls fail. What is in the function stays with the scheduler, who sends it again.
    """
    from joblib import delayed

    return delayed(partial(function, *arguments))()
