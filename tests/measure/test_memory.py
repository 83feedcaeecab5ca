"""Peak memory is in bytes and grows with what is held."""

import numpy as np
import torch

from loomlab.measure.memory import peak_cuda_memory_bytes, peak_memory_bytes


def test_the_peak_covers_a_large_array():
    array = np.ones(100 * 2**20, dtype=np.uint8)
    assert peak_memory_bytes() > array.nbytes
    assert peak_memory_bytes() < 2**44


def test_no_gpu_in_use_is_no_gpu_memory():
    assert peak_cuda_memory_bytes() == 0 or torch.cuda.is_initialized()
