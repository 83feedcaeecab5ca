"""Peak memory is in bytes and grows with what is held."""

import numpy as np

from loomlab.measure.memory import peak_memory_bytes


def test_the_peak_covers_a_large_array():
    array = np.ones(100 * 2**20, dtype=np.uint8)
    assert peak_memory_bytes() > array.nbytes
    assert peak_memory_bytes() < 2**44
