"""The one-byte floating-point dtypes: conversions, storage, files, and errors of operators without a kernel."""

import copy
import math
import pickle

import numpy as np
import pytest

import flambeau as fb

# Bits of the mantissa, bias, and the codes of infinity and NaN. The formats with the suffix fn and the
# names e5m2 and e8m0fnu come from the specifications of the OCP; fnuz: Noune et al. 2022, arXiv:2206.02915.
FORMATS = {
    fb.float8_e4m3fn: (3, 7, set(), {0x7F, 0xFF}),
    fb.float8_e5m2: (2, 15, {0x7C, 0xFC}, {0x7D, 0x7E, 0x7F, 0xFD, 0xFE, 0xFF}),
    fb.float8_e4m3fnuz: (3, 8, set(), {0x80}),
    fb.float8_e5m2fnuz: (2, 16, set(), {0x80}),
}
SIGNED = list(FORMATS)
POWERS = fb.float8_e8m0fnu
DTYPES = [*SIGNED, POWERS]
# Dtypes to which larger numbers are converted as the largest finite one, instead of infinity or NaN.
SATURATES = {fb.float8_e4m3fn}


def value_of(code, dtype):
    """Decode by the definition of the format, in exact arithmetic."""
    if dtype is POWERS:
        return math.nan if code == 0xFF else 2.0 ** (code - 127)
    mantissa_bits, bias, infinities, nans = FORMATS[dtype]
    if code in nans:
        return math.nan
    sign = -1.0 if code & 0x80 else 1.0
    if code in infinities:
        return sign * math.inf
    exponent, mantissa = (code & 0x7F) >> mantissa_bits, code & (2**mantissa_bits - 1)
    if exponent == 0:
        return sign * mantissa * 2.0 ** (1 - bias - mantissa_bits)
    return sign * (2**mantissa_bits + mantissa) * 2.0 ** (exponent - bias - mantissa_bits)


def all_codes(dtype):
    return fb.arange(256, dtype=fb.uint8).view(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_float8_codes_have_the_values_that_the_format_defines(dtype):
    expected = np.array([value_of(code, dtype) for code in range(256)])
    np.testing.assert_array_equal(all_codes(dtype).double().numpy(), expected)
    np.testing.assert_array_equal(all_codes(dtype).tolist(), expected)


@pytest.mark.parametrize("dtype", SIGNED, ids=str)
def test_numbers_are_rounded_to_the_nearest_value_and_ties_to_even_codes(dtype):
    codes = [code for code in range(128) if math.isfinite(value_of(code, dtype))]
    values = np.array([value_of(code, dtype) for code in codes])
    middles = (values[1:] + values[:-1]) / 2
    even = np.where(np.array(codes[:-1]) % 2 == 0, codes[:-1], codes[1:])
    for numbers, expected in (
        (values, codes),
        (middles, even),
        (np.nextafter(middles, 0, dtype=np.float32), codes[:-1]),
        (np.nextafter(middles, 1e9, dtype=np.float32), codes[1:]),
    ):
        made = fb.tensor(numbers, dtype=fb.float32).to(dtype).view(fb.uint8)
        assert made.tolist() == list(expected)
        negative = fb.tensor(-numbers, dtype=fb.float32).to(dtype).float().numpy()
        np.testing.assert_array_equal(negative, -fb.tensor(expected, dtype=fb.uint8).view(dtype).float().numpy())


@pytest.mark.parametrize("dtype", SIGNED, ids=str)
def test_numbers_out_of_range_saturate_or_become_infinite_or_nan(dtype):
    largest = fb.finfo(dtype).max
    assert largest == max(value for code in range(256) if math.isfinite(value := value_of(code, dtype)))
    limit = largest * (2 - 2.0 ** -(FORMATS[dtype][0] + 1)) / (2 - 2.0 ** -FORMATS[dtype][0])
    made = fb.tensor([limit * 1.001, largest * 10, math.inf, math.nan, -math.inf]).to(dtype).float().numpy()
    assert np.isnan(made[3])
    if dtype in SATURATES:
        assert made[[0, 1, 2, 4]].tolist() == [largest] * 3 + [-largest]
    elif dtype is fb.float8_e5m2:
        assert made[[0, 1, 2, 4]].tolist() == [math.inf] * 3 + [-math.inf]
    else:
        assert np.isnan(made).all()


def test_powers_of_two_round_up_from_the_middle():
    numbers = [1.0, 1.4, 1.5, -3.0, 2.0**-127, 0.0, 1e38, 3.4e38, math.inf, math.nan]
    codes = fb.tensor(numbers).to(POWERS).view(fb.uint8).tolist()
    assert codes == [127, 127, 128, 129, 0, 0, 253, 255, 255, 255]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("other", ["bool", "uint8", "int64", "float16", "bfloat16", "float64"])
def test_other_dtypes_are_converted_through_float32(dtype, other):
    other = getattr(fb, other)
    x = fb.tensor([[0.0, 1.0, 2.0], [4.0, 8.0, 16.0]]).to(other)
    small = x.to(dtype)
    assert fb.equal(small.view(fb.uint8), x.float().to(dtype).view(fb.uint8))
    assert fb.equal(small.to(other), x.float().to(dtype).float().to(other))
    assert fb.equal(x.t().to(dtype).float(), small.float().t())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_float8_tensors_can_be_created_moved_and_compared(dtype):
    ones = fb.ones(2, 3, dtype=dtype)
    x = fb.tensor([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]], dtype=dtype)
    values = x.float()
    for move in (
        lambda t: fb.cat([t, t], 1),
        lambda t: t[[1, 0]],
        lambda t: t[:, fb.tensor([True, False, True])],
        lambda t: t.t().contiguous(),
        lambda t: t.repeat(2, 1),
        lambda t: t.roll(1),
        lambda t: t.flip(0),
        lambda t: t.index_select(1, fb.tensor([2, 0])),
        lambda t: t.gather(1, fb.tensor([[2], [0]])),
        lambda t: fb.where(fb.tensor([True, False, True]), t, t[:1]),
        lambda t: t.scatter(1, fb.tensor([[0], [1]]), t[:, 2:]),
        lambda t: t.masked_fill(fb.tensor([True, False, False]), 2),
        lambda t: t.clone().fill_(4),
    ):
        assert move(x).dtype is dtype and fb.equal(move(x).float(), move(values))
    assert ones.tolist() == [[1.0] * 3] * 2 and x[1, 2].item() == 32.0
    assert fb.full((2,), 4, dtype=dtype).tolist() == [4.0, 4.0] and fb.zeros(0, dtype=dtype).tolist() == []
    assert (x == x).all() and fb.equal(x, x.clone()) and not fb.equal(x, ones)
    assert x.is_floating_point() and x.itemsize == 1 and dtype.itemsize == 1
    assert repr(x[:, 0]) == f"tensor([1., 8.], dtype={dtype})"


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_copies_pickles_files_and_dlpack_keep_the_elements(dtype, tmp_path):
    x = all_codes(dtype).reshape(16, 16)
    path = tmp_path / "x.pt"
    fb.save({"x": x, "y": x.t()}, path)
    for other in (
        copy.deepcopy(x),
        pickle.loads(pickle.dumps(x)),
        fb.load(path)["x"],
        fb.load(path)["y"].t(),
        fb.from_dlpack(x),
    ):
        assert other.dtype is dtype and fb.equal(other.view(fb.uint8), x.view(fb.uint8))
    if not str(dtype).endswith("fnuz"):  # the format of safetensors has no names for these
        fb.save({"x": x}, tmp_path / "x.safetensors")
        other = fb.load(tmp_path / "x.safetensors")["x"]
        assert other.dtype is dtype and fb.equal(other.view(fb.uint8), x.view(fb.uint8))


def test_finfo_returns_the_limits_of_float8_dtypes():
    limits = fb.finfo(fb.float8_e4m3fn)
    assert (limits.max, limits.eps, limits.tiny, limits.bits) == (448.0, 0.125, 2.0**-6, 8)
    assert pickle.loads(pickle.dumps(limits)) == limits


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_small_float_cannot_be_the_default_dtype(dtype):
    with pytest.raises(TypeError, match="types of two or more bytes are supported as the default type, got float8"):
        fb.set_default_dtype(dtype)
    assert fb.get_default_dtype() is fb.float32


def test_gradients_pass_through_conversions():
    pytest.importorskip("flambeau.autograd")
    x = fb.tensor([1.0, 2.0], requires_grad=True)
    (x.to(fb.float8_e5m2).float() * fb.tensor([3.0, 4.0])).sum().backward()
    assert x.grad.tolist() == [3.0, 4.0]


def test_small_floats_are_not_promoted():
    x = fb.ones(2, dtype=fb.float8_e5m2)
    for other in (fb.ones(2), fb.ones(2, dtype=fb.int32), fb.ones(2, dtype=fb.float8_e4m3fn)):
        with pytest.raises(RuntimeError, match="Promotion for Float8 Types is not supported, attempted to promote"):
            x + other


def test_numpy_of_a_float8_tensor_raises_and_suggests_float():
    x = fb.ones(2, dtype=fb.float8_e4m3fn)
    with pytest.raises(TypeError, match=r"Got unsupported ScalarType Float8_e4m3fn: .* convert with .float"):
        x.numpy()


def test_operators_without_a_kernel_for_small_floats_raise():
    x = fb.ones(4, 4, dtype=fb.float8_e4m3fn)
    for run in (
        lambda: x.sum(),
        lambda: x.argmax(),
        lambda: x.var(),
        lambda: x.sort(),
        lambda: fb.arange(3, dtype=x.dtype),
        lambda: fb.linalg.inv(x),
        lambda: fb.fft.rfft(x),
        lambda: fb.stft(x[0], 2, window=x[0, :2], hop_length=1, return_complex=True),
    ):
        with pytest.raises((NotImplementedError, RuntimeError), match="float8_e4m3fn"):
            run()
