"""Tests that the GPU draws the CPU's random numbers for the same seed."""

import pytest

import flambeau as fb
from flambeau.testing import assert_close

SIZES = [0, 1, 63, 64, 65, 1023, 1025, 5000]
FLOATING = [fb.float32, fb.float64, fb.float16, fb.bfloat16]


def both(f):
    """Return f(device) on both devices and the generator's state afterwards."""
    out = []
    for device in ("cpu", "cuda"):
        fb.manual_seed(5)
        fb.rand(3)  # start in the middle of the stream
        out.append((f(device).cpu(), fb.rand(1)))
    (on_cpu, after), (on_gpu, after_gpu) = out
    assert_close(after_gpu, after, rtol=0, atol=0)
    return on_gpu, on_cpu


def exact(f):
    got, expected = both(f)
    assert_close(got, expected, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", FLOATING)
def test_uniform_numbers_equal_the_numbers_of_the_cpu(dtype, host_calls):
    for n in SIZES:
        exact(lambda d, n=n: fb.rand(n, dtype=dtype, device=d))
        exact(lambda d, n=n: fb.empty(n, dtype=dtype, device=d).uniform_(-3.1, 7.7))
    assert not host_calls()


@pytest.mark.parametrize("dtype", FLOATING)
def test_normal_numbers_match_the_cpu_up_to_rounding(dtype, host_calls):
    """Compare up to rounding, because the CPU computes logarithm, sine and cosine in double precision.

    Half-precision numbers are rounded from float32, so they can differ by one unit in the last place.
    """
    rtol = {fb.float32: 4e-7, fb.float64: 1e-14}.get(dtype, fb.finfo(dtype).eps)
    for n in SIZES:
        for f in (
            lambda d, n=n: fb.randn(n, dtype=dtype, device=d),
            lambda d, n=n: fb.empty(n, dtype=dtype, device=d).normal_(2.0, 3.0),
        ):
            assert_close(*both(f), rtol=rtol, atol=1e-14 if dtype == fb.float64 else 1e-6)
    assert not host_calls()


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.bfloat16])
@pytest.mark.parametrize("name", ["exponential_", "cauchy_", "log_normal_", "geometric_"])
def test_numbers_of_other_distributions_match_the_cpu(name, dtype, host_calls):
    arguments = (0.3,) if name == "geometric_" else ()
    for n in (1, 1025):
        got, expected = both(lambda d, n=n: getattr(fb.empty(n, dtype=dtype, device=d), name)(*arguments))
        assert_close(
            got, expected, rtol=1e-5 if dtype == fb.float32 else 1e-13 if dtype == fb.float64 else 0.01, atol=0
        )
    assert not host_calls()


@pytest.mark.parametrize("dtype", [fb.float32, fb.int64, fb.int8, fb.bool, fb.uint8])
def test_random_integers_and_bernoulli_trials_equal_the_cpu(dtype, host_calls):
    for n in SIZES:
        exact(lambda d, n=n: fb.empty(n, dtype=dtype, device=d).bernoulli_(0.3))
        if dtype != fb.bool:
            exact(lambda d, n=n: fb.randint(3, 100, (n,), dtype=dtype, device=d))
    if dtype == fb.int64:
        exact(lambda d: fb.empty(99, dtype=dtype, device=d).random_(-(2**62), 2**62))
    assert not host_calls()


@pytest.mark.parametrize("dtype", FLOATING)
def test_bernoulli_with_probability_tensors_equals_the_cpu(dtype, host_calls):
    p = fb.linspace(0, 1, 500, dtype=dtype)
    exact(lambda d: fb.bernoulli(p.to(d)))
    exact(lambda d: fb.empty(3, 500, dtype=fb.int64, device=d).bernoulli_(p.to(d)))
    exact(lambda d: fb.zeros(500, 3, device=d).t()[1:].bernoulli_(p.to(d)))
    assert not host_calls()
    exact(lambda d: fb.empty(500, device=d).bernoulli_(p[140]))  # the probability is in host memory


@pytest.mark.parametrize("wrong", [-0.25, 1.5, float("nan"), float("inf")])
def test_invalid_probabilities_are_reported(wrong, host_calls):
    p = fb.full((500,), 0.5)
    p[70] = wrong
    for name, draw in (
        ("bernoulli", lambda: fb.bernoulli(p.cuda())),
        ("bernoulli_", lambda: fb.empty(2, 500, device="cuda").bernoulli_(p.cuda())),
        ("bernoulli_", lambda: fb.eye(20, device="cuda").bernoulli_(p[70])),  # p is in host memory
    ):
        drawn = draw()  # draw() does not synchronise
        with pytest.raises(RuntimeError, match=rf"^{name}: Expected p_in >= 0 && .* \(detected on GPU 0") as error:
            fb.cuda.synchronize()
        assert type(error.value) is RuntimeError and set(drawn.unique().tolist()) <= {0, 1}
    assert not host_calls()


@pytest.mark.parametrize("n", [0, 1, 2, 3, 255, 256, 257, 1000, 70_001])
def test_random_permutations_equal_the_cpu(n, host_calls):
    for _ in range(3 if n < 10 else 1):
        exact(lambda d: fb.randperm(n, device=d))
    exact(lambda d: fb.randperm(min(n, 2000), dtype=fb.float32, device=d))
    exact(lambda d: fb.randperm(min(n, 2000), dtype=fb.int16, device=d, generator=fb.Generator().manual_seed(n)))
    assert not host_calls()


@pytest.mark.parametrize("dtype", FLOATING)
def test_dropout_equals_the_cpu(dtype, host_calls):
    x = fb.linspace(-2, 2, 5000, dtype=dtype).reshape(50, 100).t()
    exact(lambda d: fb.dropout(x.to(d), 0.3, True))
    assert not host_calls()


def test_generator_states_are_cpu_tensors(host_calls):
    with fb.device("cuda"):
        state = fb.get_rng_state()
    assert state.device.type == "cpu" and not host_calls()


def test_random_fills_of_strided_and_complex_tensors_equal_the_cpu(host_calls):
    exact(lambda d: fb.zeros(30, 40, device=d).t()[::2].uniform_())
    exact(lambda d: fb.rand(33, dtype=fb.complex64, device=d))
    assert not host_calls()
