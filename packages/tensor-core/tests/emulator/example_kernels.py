"""Kernels for the emulator's own tests, fixtures that compile and load them, and numbers as their input."""

import numpy as np
import pytest
from machine import Machine

KERNELS = """
#include "device/threads/kernel.h"

struct Arguments { const float* x; const float* y; float* out; unsigned* counts; int n; };

FLAMBEAU_KERNEL(add, Arguments) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < a.n) a.out[i] = a.x[i] + a.y[i];
}

FLAMBEAU_COOPERATIVE_KERNEL(sum, Arguments, 256) {
  __shared__ float parts[8];
  const int i = blockIdx.x * blockDim.x + threadIdx.x, warp = threadIdx.x / 32;
  float value = i < a.n ? a.x[i] : 0;
  for (int lanes = 16; lanes > 0; lanes /= 2) value += __shfl_down_sync(0xffffffff, value, lanes);
  if (threadIdx.x % 32 == 0) parts[warp] = value;
  __syncthreads();
  if (warp == 0) {
    value = threadIdx.x < 8 ? parts[threadIdx.x] : 0;
    for (int lanes = 4; lanes > 0; lanes /= 2) value += __shfl_xor_sync(0xffffffff, value, lanes);
    if (threadIdx.x == 0) a.out[blockIdx.x] = value;
  }
}

FLAMBEAU_KERNEL(histogram, Arguments) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < a.n) atomicAdd(&a.counts[int(a.x[i])], 1u);
}

FLAMBEAU_COOPERATIVE_KERNEL(reversed, Arguments, 64) {
  __shared__ float values[64];
  values[threadIdx.x] = a.x[threadIdx.x];
#ifndef WITHOUT_BARRIER
  __syncthreads();
#endif
  a.out[threadIdx.x] = values[63 - threadIdx.x];
}

// What each lane learns in a warp whose even and odd lanes go separate ways.
FLAMBEAU_COOPERATIVE_KERNEL(separate_ways, Arguments, 32) {
  const unsigned lane = threadIdx.x, even = 0x55555555;
  unsigned result;
  if (lane % 2 == 0) {
    result = __shfl_sync(even, lane, 4);
    result += __popc(__ballot_sync(even, lane < 8));
  } else {
    result = __shfl_up_sync(~even, lane, 2);
    __syncwarp(~even);
    result += __any_sync(~even, lane == 31) + 10 * __all_sync(~even, lane > 1);
  }
  a.counts[lane] = result;
  a.counts[32 + lane] = __match_any_sync(0xffffffff, lane / 4);
  a.counts[64 + lane] = __syncthreads_count(lane % 3 == 0);
  a.counts[96 + lane] = __shfl_down_sync(0xffffffff, lane, 3, 8);
}

FLAMBEAU_COOPERATIVE_KERNEL(half_a_barrier, Arguments, 64) { if (threadIdx.x < 32) __syncthreads(); }
FLAMBEAU_COOPERATIVE_KERNEL(two_barriers, Arguments, 64) {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
}
FLAMBEAU_COOPERATIVE_KERNEL(half_a_warp, Arguments, 64) { if (threadIdx.x < 16) __shfl_sync(0xffffffff, 1, 0); }
FLAMBEAU_KERNEL(barrier_alone, Arguments) { __syncthreads(); }
FLAMBEAU_KERNEL(asserting, Arguments) { assert(a.n < 0); }
FLAMBEAU_COOPERATIVE_KERNEL(trapping, Arguments, 64) { if (threadIdx.x == 40) __trap(); }
FLAMBEAU_KERNEL(writing_null, Arguments) { *(volatile float*)a.out = 1; }
FLAMBEAU_KERNEL(writing_past_the_end, Arguments) { a.out[a.n] = 1; }
FLAMBEAU_KERNEL(without_end, Arguments) {
  for (volatile int i = 0; i >= 0;) i = threadIdx.x;
}
FLAMBEAU_KERNEL(misaligned, Arguments) { *(float4*)(a.out + a.n) = {}; }
FLAMBEAU_COOPERATIVE_KERNEL(beyond_an_array, Arguments, 64) {
  __shared__ volatile float values[32];
  values[threadIdx.x] = 0;
}
FLAMBEAU_KERNEL(shift, Arguments) { a.counts[0] = 1u << a.n; }
FLAMBEAU_COOPERATIVE_KERNEL(shared_memory_unset, Arguments, 64) {
  __shared__ unsigned values[64];
  if (threadIdx.x != 5) values[threadIdx.x] = threadIdx.x;
  a.counts[threadIdx.x] = values[threadIdx.x];
}

__constant__ float factor;
FLAMBEAU_KERNEL(scale, Arguments) { a.out[threadIdx.x] = a.x[threadIdx.x] * factor; }
"""


@pytest.fixture(scope="session")
def image(library):
    result, log, image = Machine(library).compile(KERNELS)
    assert result == 0, log
    return image


@pytest.fixture
def module(machine, image):
    return machine.load(image)


def numbers(n):
    return np.random.default_rng(0).standard_normal(n).astype(np.float32)
