from __future__ import annotations

import pickle

import numpy as np

from knotwork.selection.calls import whole_call


def test_nothing_but_the_function_is_handed_over():
    array = np.arange(1000.0)
    function, arguments, options = pickle.loads(pickle.dumps(whole_call(np.add, array, 1.0)))
    assert (arguments, options) == ((), {})
    np.testing.assert_array_equal(function(), array + 1.0)
