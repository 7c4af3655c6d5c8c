"""First and second derivatives of Fourier transforms, compared with finite differences."""

import pytest

import flambeau as fb
from flambeau.autograd import gradcheck, gradgradcheck

REAL_INPUT = ("rfft", "ihfft")


def leaf(shape, dtype):
    return fb.randn(shape, dtype=dtype).requires_grad_()


def check(function, *inputs):
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


@pytest.mark.parametrize("dtype", [fb.float64, fb.complex128], ids=str)
@pytest.mark.parametrize(
    "arguments", [(None, -1, None), (5, 0, "ortho"), (3, -1, "forward"), (4, 1, "backward")], ids=str
)
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
def test_derivatives_of_one_dimensional_transforms_match_finite_differences(name, arguments, dtype):
    if dtype.is_complex and name in REAL_INPUT:
        return
    check(lambda x: getattr(fb.fft, name)(x, *arguments), leaf((3, 4), dtype))


@pytest.mark.parametrize("dtype", [fb.float64, fb.complex128], ids=str)
@pytest.mark.parametrize(
    "arguments", [(None, None, None), ((3, 2), (0, 1), "ortho"), (None, (2, 0), "forward")], ids=str
)
@pytest.mark.parametrize("name", ["fftn", "ifftn", "rfftn", "irfftn", "hfftn", "ihfftn"])
def test_derivatives_of_multidimensional_transforms_match_finite_differences(name, arguments, dtype):
    if dtype.is_complex and name.startswith(REAL_INPUT):
        return
    check(lambda x: getattr(fb.fft, name)(x, *arguments), leaf((2, 3, 2), dtype))


@pytest.mark.parametrize("name", ["fft2", "ifft2", "rfft2", "irfft2", "hfft2", "ihfft2", "fftshift", "ifftshift"])
def test_derivatives_of_two_dimensional_transforms_and_shifts_match_finite_differences(name):
    check(getattr(fb.fft, name), leaf((2, 3, 4), fb.float64))


def test_gradients_of_fft_equal_known_values():
    x = fb.tensor([1.0, 2.0, 4.0], dtype=fb.float64, requires_grad=True)
    fb.fft.fft(x).abs().square().sum().backward()  # Parseval: 3 times the sum of the squares
    assert fb.allclose(x.grad, 6 * x.detach())
    y = fb.tensor([1 + 2j, 3 - 1j, 0.5j, 2], dtype=fb.complex128, requires_grad=True)
    fb.fft.ifft(y).abs().square().sum().backward()
    assert fb.allclose(y.grad, y.detach() / 2)


def test_the_input_of_fft_may_change_before_backward():
    x = leaf((4,), fb.float64)
    y = x * 1
    spectrum = fb.fft.rfft(y)
    y.zero_()
    spectrum.real.sum().backward()  # linear, so the input is not saved
    assert fb.allclose(x.grad, fb.tensor([3.0, 0.0, 1.0, 0.0], dtype=fb.float64))


@pytest.mark.parametrize("options", [{}, {"center": False}, {"normalized": True, "onesided": False}], ids=str)
def test_derivatives_of_stft_and_istft_match_finite_differences(options):
    window = fb.hann_window(4, dtype=fb.float64) + 0.1
    options = {"n_fft": 4, "hop_length": 2, **options}

    def forward(x, w):
        return fb.stft(x, window=w, return_complex=True, **options)

    x = leaf((2, 10), fb.float64)
    check(forward, x, window.requires_grad_())
    spectrum = forward(x, window).detach().requires_grad_()
    check(lambda s, w: fb.istft(s, window=w, **options), spectrum, window.detach().requires_grad_())
