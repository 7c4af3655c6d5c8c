"""Test that ``torch._C`` returns the kernel that PyTorch without MKLDNN selects for a convolution."""

import pytest

import flambeau as fb
from flambeau.torch import _private


def arguments(input, weight, *, dilation=1, transposed=False, groups=1):
    dims = len(input) - 2
    return (
        *(fb.ones(input), fb.ones(weight), None, (1,) * dims, (0,) * dims, (dilation,) * dims),
        *(transposed, (0,) * dims, groups),
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (arguments((2, 6, 7), (12, 2, 3), groups=3), "Slow2d"),
        (arguments((2, 6, 7), (6, 4, 3), transposed=True, groups=3), "SlowTranspose2d"),
        (arguments((2, 6, 7, 8), (12, 2, 3, 3), groups=3, dilation=2), "SlowDilated2d"),
        (arguments((2, 6, 7, 8), (6, 1, 3, 3), groups=6), "Slow2d"),
        (arguments((2, 6, 7, 8, 9), (12, 6, 3, 3, 3)), "Slow3d"),
        (arguments((2, 6, 7, 8, 9), (12, 6, 3, 3, 3), dilation=2), "SlowDilated3d"),
        (arguments((2, 6, 7, 8, 9), (6, 4, 3, 3, 3), transposed=True, dilation=2), "SlowTranspose3d"),
        (arguments((0, 6, 7, 8), (12, 6, 3, 3)), "Empty"),
        (arguments((2, 0, 7), (12, 0, 3)), "Empty"),
    ],
)
def test_conv_backend_depends_on_shapes_dilation_and_direction(given, expected):
    assert _private._select_conv_backend(*given) is _private._ConvBackend[expected]


def test_select_conv_backend_rejects_unsupported_arguments():
    with pytest.raises(RuntimeError, match="Only zero batch or zero channel inputs are supported"):
        _private._select_conv_backend(*arguments((2, 6, 0, 8), (12, 6, 3, 3)))
    with pytest.raises(RuntimeError, match="at least three dimensions"):
        _private._select_conv_backend(*arguments((2, 6), (12, 6)))


@pytest.mark.parametrize("backend", ["Slow2d", "Cudnn", "Slow3d"])
def test_two_dimensional_backends_use_the_format_of_input_and_weight(backend):
    backend = _private._ConvBackend[backend]
    plain, last = fb.ones(2, 3, 4, 5), fb.ones(2, 3, 4, 5).to(memory_format=fb.channels_last)
    found = [
        _private._conv_determine_backend_memory_format(x, w, backend)
        for x, w in ((plain, plain), (last, plain), (plain, last))
    ]
    other = fb.contiguous_format if backend.name == "Slow3d" else fb.channels_last
    assert found == [fb.contiguous_format, other, other]


def test_an_ambiguous_memory_format_counts_as_contiguous():
    ambiguous = fb.ones(2, 1, 4, 5).to(memory_format=fb.channels_last)
    kernel = _private._ConvBackend.Slow2d
    assert (
        _private._conv_determine_backend_memory_format(ambiguous, fb.ones(1, 1, 1, 1), kernel) is fb.contiguous_format
    )
