"""Tests that pointwise operators give the same results on the GPU and the CPU."""

import pytest

import flambeau as fb
from flambeau.testing import assert_close

UNARY = ["exp", "log1p", "tanh", "sigmoid", "erf", "lgamma", "sin", "sqrt", "floor", "sign", "isnan", "neg", "abs"]
BINARY = ["add", "mul", "div", "pow", "maximum", "atan2", "lt", "eq", "remainder"]
OF_FLOATS, OF_TENSORS = ("atan2", "pow"), ("maximum", "atan2")


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.bfloat16])
@pytest.mark.parametrize("name", UNARY)
def test_unary_operators_match_the_cpu(name, dtype, host_calls):
    x = fb.linspace(-3, 40, 1003).to(dtype)
    assert_close(getattr(fb, name)(x.cuda()).cpu(), getattr(fb, name)(x), equal_nan=True)
    assert not host_calls()


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, fb.float32) for name in BINARY] + [(name, fb.int64) for name in BINARY if name not in OF_FLOATS],
)
def test_binary_operators_of_broadcast_and_strided_operands_match_the_cpu(name, dtype, host_calls):
    x, y = (fb.randn(7, 5, 3) * 4).to(dtype).transpose(0, 2), (fb.randn(5, 1) * 3).abs().to(dtype) + 1
    assert_close(getattr(fb, name)(x.cuda(), y.cuda()).cpu(), getattr(fb, name)(x, y), equal_nan=True)
    if name not in OF_TENSORS:
        assert_close(getattr(fb, name)(x.cuda(), 3).cpu(), getattr(fb, name)(x, 3), equal_nan=True)
    assert not host_calls()


def test_operands_of_mixed_dtypes_are_promoted(host_calls):
    x, y = fb.arange(10, dtype=fb.int32), fb.linspace(0, 1, 10, dtype=fb.float64)
    assert_close((x.cuda() + y.cuda()).cpu(), x + y)
    out = fb.empty(10, device="cuda", dtype=fb.float16)
    fb.mul(x.cuda(), 2.5, out=out)
    assert_close(out.cpu(), (x * 2.5).half())
    z = fb.arange(5, device="cuda", dtype=fb.uint8)
    z += 250
    assert z.tolist() == [250, 251, 252, 253, 254]
    host_calls()


def test_pointwise_operators_of_complex_numbers_match_the_cpu(host_calls):
    x = fb.randn(20, dtype=fb.complex64)
    for name in ("exp", "abs", "conj_physical", "sqrt", "angle"):
        assert_close(getattr(fb, name)(x.cuda()).cpu(), getattr(fb, name)(x))
    assert not host_calls()


def test_pointwise_operators_of_equal_permuted_strides_match_the_cpu(host_calls):
    """Test dense operands with the same permuted strides, at aligned and at unaligned addresses."""
    x, y = fb.randn(2, 3, 5, 7), fb.randn(2, 3, 5, 7)
    room = fb.randn(1 + 210)
    layouts = (
        lambda t: t.contiguous(memory_format=fb.channels_last),
        lambda t: t.permute(3, 1, 0, 2).contiguous().permute(2, 1, 3, 0),
        lambda t: fb.as_strided(room.to(t.device), (2, 3, 5, 7), (105, 1, 21, 3), 1),
    )
    for layout in layouts:
        for f in (lambda s, t: s * t + 2, lambda s, t: fb.where(s > t, s, t.double()), lambda s, t: s + t[:, :1]):
            there = f(layout(x.cuda()), layout(y.cuda()))
            here = f(layout(x), layout(y))
            assert there.stride() == here.stride()
            assert_close(there.cpu(), here, rtol=1e-6, atol=1e-6)
    assert not host_calls()


ROW_OPERANDS = [
    lambda x: x[0],
    lambda x: x[:, :1],
    lambda x: x[:, :, :1],
    lambda x: x[:1, :1, :1],
    lambda x: x[0, 0],
    lambda x: x[:, :1].expand(x.shape),
]
ROW_DTYPES = [fb.float32, fb.float64, fb.float16, fb.bfloat16, fb.int8, fb.int16, fb.int32, fb.int64]


@pytest.mark.parametrize("dtype", [*ROW_DTYPES, fb.bool, fb.uint8, fb.complex64, fb.complex128])
def test_pointwise_operators_of_contiguous_or_repeated_rows_match_the_cpu(dtype, host_calls):
    """Test rows that start at aligned and at unaligned addresses, with complete and with incomplete packs."""
    x = (fb.arange(3 * 4 * 160).reshape(3, 4, 160) % 11 - 3).to(dtype)
    for rows in (slice(None), slice(0, 45), slice(16, 64), slice(32, 33), slice(1, 150), slice(3, 67), slice(7, 7)):
        for operand in ROW_OPERANDS:
            here, there = x[:, :, rows], x.cuda()[:, :, rows]
            assert_close((there * operand(there)).cpu(), here * operand(here))
            assert_close(fb.eq(operand(there), there).cpu(), fb.eq(operand(here), here))
    assert not host_calls()


def test_pointwise_operators_of_long_strided_rows_match_the_cpu(host_calls):
    x, y = fb.randn(2, 300, 3), fb.randn(3, 300, 70)
    functions = (
        lambda s, t: s[:, ::2, 1] * 2 - s[1, :150, 0],
        lambda s, t: t[:, :, 1:] + t[:, :, :69].mT.contiguous().mT,
        lambda s, t: t.reshape(3, -1)[:, 1:] * t.reshape(3, -1)[:1, :-1],
    )
    for function in functions:
        assert_close(function(x.cuda(), y.cuda()).cpu(), function(x, y), rtol=1e-6, atol=1e-6)
    z = y.cuda()
    z[:, ::3, 1:] += z[:, ::3, 1:].flip(0)
    y[:, ::3, 1:] += y[:, ::3, 1:].flip(0)
    assert_close(z.cpu(), y, rtol=0, atol=0)
    assert not host_calls()


def test_pointwise_operators_of_rows_of_several_dtypes_match_the_cpu(host_calls):
    x, row = fb.arange(5 * 48).reshape(5, 48), fb.linspace(-3, 5, 48)
    for a in ROW_DTYPES:
        for b in (fb.float32, fb.float16, fb.int8):
            assert_close((x.to(a).cuda() + row.to(b).cuda()).cpu(), x.to(a) + row.to(b))
    assert not host_calls()


def test_pointwise_operators_write_rows_in_place_and_permuted(host_calls):
    x, row = fb.randn(6, 5, 32), fb.randn(16)
    there = x.cuda()
    there[:, :, 8:24] += row.cuda()
    there[:, 1:4, 1:30].mul_(2)
    there[::2] = there[0, 0]
    x[:, :, 8:24] += row
    x[:, 1:4, 1:30].mul_(2)
    x[::2] = x[0, 0].clone()
    assert_close(there.cpu(), x, rtol=0, atol=0)
    assert_close((there.transpose(0, 1) - there[:, :1].transpose(0, 1)).cpu(), (x - x[:, :1]).transpose(0, 1))
    assert_close(there.permute(1, 0, 2).contiguous().cpu(), x.permute(1, 0, 2).contiguous(), rtol=0, atol=0)
    assert_close(fb.where(there > 0, there[:, :, :1], 0.5).cpu(), fb.where(x > 0, x[:, :, :1], 0.5))
    assert not host_calls()


@pytest.mark.parametrize("dtype", [fb.float32, fb.bfloat16, fb.bool, fb.int64, fb.complex128])
@pytest.mark.parametrize("shape", [(8, 8), (9, 130), (65, 64), (2, 70, 3, 33), (2, 9, 3, 5, 10), (7, 20), (3, 0, 9)])
def test_transposed_copies_match_the_cpu(shape, dtype, host_calls):
    x = (fb.arange(fb.Size(shape).numel()) % 251).reshape(shape).to(dtype)
    dims = list(range(len(shape)))
    for order in (dims[::-1], [*dims[:-2], dims[-1], dims[-2]], [dims[-1], *dims[:-1]], [*dims[1:], dims[0]]):
        here, there = x.permute(order), x.cuda().permute(order)
        assert_close(there.contiguous().cpu(), here.contiguous(), rtol=0, atol=0)
        target = fb.zeros(*here.shape[:-1], here.shape[-1] + 3, device="cuda")
        target[..., 1:-2] = there.real if dtype.is_complex else there
        assert_close(target.cpu()[..., 1:-2], here.real.float(), rtol=0, atol=0)
        assert not target[..., 0].any() and not target[..., -2:].any()
    assert not host_calls()


@pytest.mark.parametrize("shape", [(0,), (1,), (), (3, 0, 2), (1, 1, 1), (2,) * 14])
def test_pointwise_operators_of_empty_and_high_dimensional_tensors_match_the_cpu(shape):
    x = fb.randn(shape)
    assert_close((x.cuda() * 2 + 1).cpu(), x * 2 + 1)
    if x.dim() > 1:
        assert_close((x.cuda().mT + x.cuda().mT).cpu(), x.mT * 2)
