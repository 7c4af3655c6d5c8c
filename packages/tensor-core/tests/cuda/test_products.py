"""Matrix products on the GPU equal those on the CPU, and cuBLASLt gets the matrices' layouts without copies."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import flambeau as fb
from flambeau import _core
from flambeau.testing import assert_close

DTYPES = [fb.float32, fb.float64, fb.float16, fb.bfloat16, fb.complex64, fb.complex128, fb.int64, fb.int8, fb.bool]


def draw(shape, dtype):
    if dtype.is_floating_point or dtype.is_complex:
        return fb.randn(shape, dtype=fb.complex128 if dtype.is_complex else fb.float64).to(dtype)
    return fb.randint(0, 2 if dtype == fb.bool else 100, shape).to(dtype)


def close(there, here):
    tolerance = {2: 1e-2, 1: 0, 4: 1e-4, 8: 1e-5, 16: 1e-12}[here.dtype.itemsize]
    assert there.dtype == here.dtype
    assert_close(there.cpu(), here, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
def test_matrix_products_in_every_dtype_match_the_cpu(dtype, host_calls):
    a, b = draw((67, 35), dtype), draw((35, 70), dtype)
    close(fb.mm(a.cuda(), b.cuda()), fb.mm(a, b))
    assert not host_calls()


@pytest.mark.parametrize(
    ("m", "k", "n"),
    [(1, 1, 1), (1, 300, 1), (3, 5, 2), (0, 4, 5), (4, 0, 5), (4, 5, 0), (17, 2000, 18), (65, 16, 129), (2, 700, 90)],
)
def test_matrix_products_of_all_shapes_match_the_cpu(m, k, n, host_calls):
    a, b = fb.randn(m, k), fb.randn(k, n)
    close(fb.mm(a.cuda(), b.cuda()), fb.mm(a, b))
    assert not host_calls()


def test_matrix_products_with_large_tiles_match_the_cpu(host_calls):
    a, b = fb.randn(130, 9).expand(128, 130, 9), fb.randn(9, 129).expand(128, 9, 129)
    close(fb.bmm(a.cuda(), b.cuda())[-1], fb.mm(a[0], b[0]))
    assert not host_calls()


@pytest.mark.parametrize(
    "view",
    [
        lambda t: t.mT.contiguous().mT,
        lambda t: t.unsqueeze(1).expand(-1, 2, -1).contiguous()[:, 1],
        lambda t: t.unsqueeze(2).expand(-1, -1, 3).contiguous()[:, :, 1],
        lambda t: t[:, :1].expand(t.shape),
        lambda t: t[:1].expand(t.shape),
    ],
)
def test_matrix_products_of_strided_operands_match_the_cpu(view, host_calls):
    a, b = fb.randn(20, 33).cuda(), fb.randn(33, 40).cuda()
    close(fb.mm(view(a), view(b)), fb.mm(view(a).cpu(), view(b).cpu()))
    assert not host_calls()


def test_products_of_batches_and_vectors_match_the_cpu(host_calls):
    a, b, v, w = fb.randn(3, 2, 18, 20), fb.randn(2, 20, 19), fb.randn(20), fb.randn(18)
    close(fb.matmul(a.cuda(), b.cuda()), fb.matmul(a, b))
    close(fb.matmul(a.cuda(), v.cuda()), fb.matmul(a, v))
    close(fb.mv(a[0, 0].cuda(), v.cuda()), fb.mv(a[0, 0], v))
    close(fb.matmul(w.cuda(), a[0, 0].cuda()), fb.matmul(w, a[0, 0]))
    close(fb.dot(v.cuda(), v.cuda()), fb.dot(v, v))
    close(fb.dot(v[:0].cuda(), v[:0].cuda()), fb.dot(v[:0], v[:0]))
    assert not host_calls()


@pytest.mark.parametrize("dtype", [fb.float32, fb.bfloat16, fb.int32])
def test_linear_and_addmm_match_the_cpu(dtype, host_calls):
    x, w, bias = draw((2, 17, 24), dtype), draw((30, 24), dtype), draw((30,), dtype)
    linear = _core.linear
    close(linear(x.cuda(), w.cuda(), bias.cuda()), linear(x, w, bias))
    close(linear(x.cuda(), w.cuda()), linear(x, w))
    close(fb.addmm(bias.cuda(), x[0].cuda(), w.mT.cuda()), fb.addmm(bias, x[0], w.mT))
    close(fb.addmm(bias.cuda(), x[0].cuda(), w.mT.cuda(), beta=2, alpha=3), fb.addmm(bias, x[0], w.mT, beta=2, alpha=3))
    assert not host_calls()


def test_half_precision_sums_are_rounded_once(host_calls):
    """Test products that an added term cancels except for bits that rounding the product would lose."""
    a, b = fb.full((1, 1), 1.0 + 2**-5, dtype=fb.bfloat16), fb.full((1, 1), 1.0 + 2**-5, dtype=fb.bfloat16)
    term = fb.full((1, 1), -1.0, dtype=fb.bfloat16)
    assert fb.addmm(term.cuda(), a.cuda(), b.cuda()).item() == fb.addmm(term, a, b).item() == 2**-4 + 2**-10
    batch = [t.unsqueeze(0).cuda() for t in (term, a, b)]
    assert fb.baddbmm(*batch).item() == 2**-4 + 2**-10
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        fb.addmm(term.cuda(), a.cuda(), fb.ones(2, 1, dtype=fb.bfloat16).cuda())
    assert not host_calls()


@pytest.mark.parametrize("dtype", [fb.float16, fb.bfloat16])
@pytest.mark.parametrize(("m", "k", "n"), [(17, 40, 18), (65, 31, 129), (64, 2000, 70), (33, 1, 40)])
@pytest.mark.parametrize("transposed", [False, True])
def test_matrix_products_in_half_precision_round_exact_sums_once(m, k, n, transposed, dtype, host_calls):
    """Test with small integers, for which the sums are exact in any order and are rounded once."""
    a, b = fb.randint(-2, 3, (m, k)).to(dtype).cuda(), fb.randint(-2, 3, (k, n)).to(dtype).cuda()
    if transposed:
        a, b = a.mT.contiguous().mT, b.mT.contiguous().mT
    assert fb.equal(fb.mm(a, b).cpu(), fb.mm(a.cpu(), b.cpu()))
    large = fb.mm(a[:1].expand(130, k), b[:, :1].expand(k, 130)).cpu()
    assert (large == fb.mm(a[:1].cpu(), b[:, :1].cpu())).all()
    assert not host_calls()


def test_matrix_products_with_large_tiles_in_half_precision_equal_the_cpu(host_calls):
    a, b = fb.randint(-2, 3, (128, 40)).bfloat16(), fb.randint(-2, 3, (40, 129)).bfloat16()
    there = fb.bmm(a.cuda().expand(64, 128, 40), b.cuda().expand(64, 40, 129))
    assert fb.equal(there[-1].cpu(), fb.mm(a, b))
    assert not host_calls()


def test_nan_affects_only_its_row_of_a_product(host_calls):
    a = fb.randn(20, 20)
    a[3, 4] = float("nan")
    assert fb.mm(a.cuda(), fb.eye(20).cuda()).cpu().isnan().any(1).tolist() == [i == 3 for i in range(20)]


def test_all_tf32_settings_agree():
    products = fb.backends.cuda.matmul
    assert not products.allow_tf32
    products.allow_tf32 = True
    assert fb.get_float32_matmul_precision() == "high"
    a = fb.full((20, 30), 1 + 2**-10 + 2**-13)
    rounded = 30 * (1 + 2**-10 + (0 if fb.cuda.is_tf32_supported() else 2**-13))
    assert_close(fb.mm(a.cuda(), fb.ones(30, 20).cuda()).cpu(), fb.full((20, 20), rounded), rtol=1e-6, atol=0)
    fb.set_float32_matmul_precision("highest")
    assert not products.allow_tf32
    assert_close(fb.mm(a.cuda(), fb.ones(30, 20).cuda()).cpu(), fb.mm(a, fb.ones(30, 20)), rtol=1e-6, atol=0)


LAYOUTS = """
#include <cstdio>
#include "cuda/libraries/cublaslt.h"
int main() {
  long long rows, columns, row, column;
  while (std::scanf("%lld %lld %lld %lld", &rows, &columns, &row, &column) == 4) {
    const auto found = flambeau::cuda::library_layout(rows, columns, row, column);
    if (found) std::printf("%d %lld %lld %lld\\n", found->transposed, (long long)found->rows, (long long)found->columns,
                           (long long)found->leading);
    else std::printf("none\\n");
  }
}
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler")
def test_cublaslt_receives_correct_operand_layouts(tmp_path):
    """Test the layouts that cuBLASLt receives. It reads matrices in column-major order, which transposes them."""
    package = Path(__file__).parents[2]
    (tmp_path / "layouts.cpp").write_text(LAYOUTS)
    flags = ["-std=c++20", f"-I{package / 'src'}", f"-I{package / 'include'}"]
    subprocess.run(["g++", *flags, "layouts.cpp", "-o", "layouts"], cwd=tmp_path, check=True)
    matrices = [(2, 3, 3, 1), (2, 3, 1, 2), (2, 3, 8, 1), (2, 3, 1, 5), (1, 4, 7, 1), (4, 1, 1, 9), (4, 1, 6, 1)]
    matrices += [(1, 1, 5, 7), (1, 3, 0, 2), (3, 1, 2, 0)]
    rejected = [(2, 3, 0, 1), (2, 3, 1, 0), (2, 3, 6, 2), (2, 3, 2, 1), (2, 3, -3, 1)]
    text = "\n".join(" ".join(map(str, m)) for m in matrices + rejected)
    lines = subprocess.run([tmp_path / "layouts"], input=text, capture_output=True, text=True, check=True)
    answers = lines.stdout.split("\n")
    room = np.arange(100)
    for (rows, columns, row, column), answer in zip(matrices, answers, strict=False):
        if answer == "none":  # a copy is multiplied instead
            assert row != 1 and column != 1
            continue
        transposed, of_rows, of_columns, leading = map(int, answer.split())
        assert leading >= of_rows
        read = np.lib.stride_tricks.as_strided(room, (of_rows, of_columns), (8, 8 * leading))
        matrix = np.lib.stride_tricks.as_strided(room, (rows, columns), (8 * row, 8 * column))
        assert ((read.T if transposed else read) == matrix.T).all()
    assert answers[len(matrices) : len(matrices) + len(rejected)] == ["none"] * len(rejected)
