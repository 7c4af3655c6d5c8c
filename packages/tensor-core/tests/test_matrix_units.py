"""Tests of device/linalg/matrix_units.h on the emulated GPU, against products by NumPy.

The distribution of the elements over the lanes is written here according to the PTX ISA. Only a real GPU can show if
its instructions agree.
"""

import numpy as np
import pytest
from machine import KERNEL_SOURCES, needs_emulator

pytestmark = needs_emulator

KERNELS = """
#include "device/threads/kernel.h"
#include "device/linalg/matrix_rows.h"

using namespace flambeau;
using namespace flambeau::cuda;

struct Arguments { const uint32_t* x; const uint32_t* y; float* out; unsigned* counts; int n; };

template <class Multiply>
void with_fragments(const Arguments& a, Multiply&& multiply) {
  uint32_t left[4];
  float sums[4] = {1, 1, 1, 1};
  for (int i = 0; i < 4; ++i) left[i] = a.x[lane() * 4 + i];
  multiply(sums, left, a.y[lane() * 2], a.y[lane() * 2 + 1]);
  for (int i = 0; i < 4; ++i) a.out[lane() * 4 + i] = sums[i];
}
FLAMBEAU_COOPERATIVE_KERNEL(float16_fragments, Arguments, 32) {
  with_fragments(a, [](auto& s, auto& l, auto... r) { multiply_accumulate<float16>(s, l, r...); });
}
#if __CUDA_ARCH__ >= 800
FLAMBEAU_COOPERATIVE_KERNEL(bfloat16_fragments, Arguments, 32) {
  with_fragments(a, [](auto& s, auto& l, auto... r) { multiply_accumulate<bfloat16>(s, l, r...); });
}
FLAMBEAU_COOPERATIVE_KERNEL(tf32_fragments, Arguments, 32) {
  with_fragments(a, [](auto& s, auto& l, auto... r) { multiply_accumulate<float>(s, l, r...); });
}
#endif

// Computes the product x y^T and the product of this result and y, for x (32, 40) and y (13, 40) padded with zeros.
void show(float* out, const float (&sums)[2][2][4]) {
  for (int h = 0; h < 2; ++h)
    for (int w = 0; w < 2; ++w)
      for (int e = 0; e < 4; ++e)
        out[(h * 16 + e / 2 * 8 + lane() / 4) * 16 + w * 8 + lane() % 4 * 2 + e % 2] = sums[h][w][e];
}
template <class T>
void multiply_twice(const Arguments& a, MatrixRows<T, 32, 48>& left, MatrixRows<T, 16, 48>& right) {
  left.template load<32>(MemberRows<T>(reinterpret_cast<const T*>(a.x), 40), 0, 32, 40);
  right.template load<32>(MemberRows<T>(reinterpret_cast<const T*>(a.y), 40), 0, 13, 40);
  commit_copies();
  wait_for_copies();
  __syncthreads();
  float scores[2][2][4], sums[2][6][4];
  clear(scores), clear(sums);
  multiply_rows(scores, left, 0, right);
  add_weighted(sums, scores, right);
  show(a.out, scores);
  store_rows<T, float>(reinterpret_cast<char*>(a.out + 32 * 16), 0, 0, 32, 48, sums);
}
#define ROWS_KERNEL(name, T)                       \\
  FLAMBEAU_COOPERATIVE_KERNEL(name, Arguments, 32) { \\
    __shared__ MatrixRows<T, 32, 48> left;         \\
    __shared__ MatrixRows<T, 16, 48> right;        \\
    multiply_twice<T>(a, left, right);             \\
  }
ROWS_KERNEL(float16_rows, float16)
#if __CUDA_ARCH__ >= 800
ROWS_KERNEL(tf32_rows, float)
#endif
"""
LANES = np.arange(32)
GROUP, PLACE = LANES // 4, LANES % 4


def compile(machine, architecture=80):
    result, log, image = machine.compile(KERNELS, architecture=architecture)
    assert result == 0, log
    return machine.load(image)


def small(*shape):
    return np.random.default_rng(sum(shape)).integers(-4, 5, shape).astype(np.float32)


def halves(matrix, kind):
    """Return the bits of small integers in a half-precision dtype."""
    return matrix.astype(np.float16).view(np.uint16) if kind == "float16" else (matrix.view(np.uint32) >> 16)


def left_words(matrix, kind):
    """Return the four words of every lane for the left operand of shape (16, 16), or (16, 8) for float32."""
    words = np.empty((32, 4), np.uint32)
    for i in range(4):
        row = GROUP + 8 * (i % 2)
        if kind == "tf32":
            words[:, i] = matrix.view(np.uint32)[row, PLACE + 4 * (i // 2)]
        else:
            k, bits = 2 * PLACE + 8 * (i // 2), halves(matrix, kind).astype(np.uint32)
            words[:, i] = bits[row, k] | bits[row, k + 1] << 16
    return words


def right_words(matrix, kind):
    """Return the two words of every lane for the right operand of shape (16, 8), or (8, 8) for float32."""
    words = np.empty((32, 2), np.uint32)
    for i in range(2):
        if kind == "tf32":
            words[:, i] = matrix.view(np.uint32)[PLACE + 4 * i, GROUP]
        else:
            k, bits = 2 * PLACE + 8 * i, halves(matrix, kind).astype(np.uint32)
            words[:, i] = bits[k, GROUP] | bits[k + 1, GROUP] << 16
    return words


@pytest.mark.parametrize(("kind", "architecture"), [("float16", 75), ("float16", 80), ("bfloat16", 80), ("tf32", 90)])
def test_tensor_core_fragments_multiply_matrices(machine, kind, architecture):
    module, k = compile(machine, architecture), 8 if kind == "tf32" else 16
    left, right = small(16, k), small(k, 8)
    x, y = machine.to_device(left_words(left, kind)), machine.to_device(right_words(right, kind))
    out = machine.allocate(32 * 4 * 4)
    assert machine.launch(module, f"{kind}_fragments", 1, 32, x=x, y=y, out=out) == 0
    sums, expected = machine.to_host(out, (32, 4)), left @ right + 1
    for i in range(4):
        np.testing.assert_array_equal(sums[:, i], expected[GROUP + i // 2 * 8, 2 * PLACE + i % 2])


@pytest.mark.parametrize("kind", ["float16", "tf32"])
@pytest.mark.parametrize("order", ["forward", "reverse", "random"])
def test_tensor_core_tiles_multiply_matrices_of_any_size(machine, monkeypatch, order, kind):
    """Test copies from global to shared memory, to fragments and back, with rows and columns beyond the matrix."""
    monkeypatch.setenv("FLAMBEAU_EMULATED_ORDER", order)
    left, right = small(32, 40), small(13, 40)
    dtype = np.float16 if kind == "float16" else np.float32
    x, y = machine.to_device(left.astype(dtype)), machine.to_device(right.astype(dtype))
    out = machine.allocate(32 * (16 + 48) * 4)
    assert machine.launch(compile(machine), f"{kind}_rows", 1, 32, x=x, y=y, out=out) == 0
    both, scores = machine.to_host(out, 32 * 64), left @ right.T
    np.testing.assert_array_equal(both[:512].reshape(32, 16), np.pad(scores, ((0, 0), (0, 3))))
    np.testing.assert_array_equal(both[512:].reshape(32, 48), np.pad(scores @ right, ((0, 0), (0, 8))))


@pytest.mark.parametrize("chunks", range(2, 33, 2))
def test_eight_rows_of_shared_memory_are_in_different_banks(chunks):
    """Test that eight rows that are read at once are in different banks, and that chunks stay within their row."""
    bits = 3 if chunks % 8 == 0 else 2 if chunks % 4 == 0 else 1
    row, chunk = np.mgrid[:64, :chunks]
    at = chunk ^ (row >> (3 - bits) & ((1 << bits) - 1))
    assert (np.sort(at, 1) == chunk).all()
    banks = ((row * chunks + at) % 8).reshape(8, 8, chunks)
    assert (np.sort(banks, 1) == np.arange(8)[:, None]).all()


def test_the_emulator_reports_bank_conflicts_and_missing_waits(machine):
    """Test that the emulator reports bank conflicts, and reads of copies that were not waited for."""
    source = """
#include "device/threads/kernel.h"
#include "device/linalg/matrix_units.h"
struct Arguments { const char* x; const char* y; float* out; unsigned* counts; int n; };
FLAMBEAU_COOPERATIVE_KERNEL(same_banks, Arguments, 32) {
  alignas(16) __shared__ char rows[32 * 128];
  uint32_t words[4];
  flambeau::cuda::load_matrices(words, rows + threadIdx.x * 128);
}
FLAMBEAU_COOPERATIVE_KERNEL(no_wait, Arguments, 32) {
  alignas(16) __shared__ unsigned words[32 * 4];
  flambeau::cuda::copy_async(words + threadIdx.x * 4, a.x + threadIdx.x * 16, true);
  flambeau::cuda::commit_copies();
  __syncthreads();
  a.counts[threadIdx.x] = words[threadIdx.x * 4];
  if (a.n) flambeau::cuda::wait_for_copies();
}
"""
    result, log, image = machine.compile(source)
    assert result == 0, log
    module = machine.load(image)
    x, counts = machine.to_device(np.arange(128, dtype=np.uint32)), machine.allocate(128)
    assert machine.launch(module, "no_wait", 1, 32, x=x, counts=counts, n=1) == 0
    arrived = machine.to_host(counts, 32, np.uint32) == LANES * 4
    assert 0 < arrived.sum() < 32
    assert machine.launch(module, "same_banks", 1, 32) == 0 or machine.cuCtxSynchronize() != 0
    assert b"same banks" in machine.emulated_message()


@pytest.mark.parametrize("architecture", [75, 80, 90, 100])
def test_tensor_core_kernels_compile_with_nvrtc(machine, architecture):
    machine.by_nvidia()
    standard = KERNEL_SOURCES / "device" / "standard"
    result, log, _ = machine.compile(KERNELS, "-DFLAMBEAU_ISA=gpu", f"-I{standard}", architecture=architecture)
    assert (result, log.strip("\0")) == (0, "")
