"""Tests of flambeau.special against SciPy, for functions and limits that test_pointwise.py does not cover."""

import numpy as np
import pytest
from scipy import special as scipy

import flambeau as fb
from flambeau import special

ROWS = {row["name"]: row for row in fb._core.pointwise_rows()}
POLYNOMIALS = [name for name in ROWS if "polynomial" in name]
inf, nan = np.inf, np.nan


def test_special_functions_are_public():
    rows = {alias for row in ROWS.values() for alias in (row["name"], *row["aliases"]) if alias.startswith("special_")}
    assert {name.removeprefix("special_") for name in rows} <= set(special.__all__)
    for name in special.__all__:
        function = getattr(special, name)
        assert callable(function) and function.__doc__, name
    assert special.airy_ai.__module__ == "flambeau.special" and special.airy_ai.__name__ == "airy_ai"
    assert not hasattr(fb, "airy_ai") and not hasattr(fb.Tensor, "airy_ai")


@pytest.mark.parametrize("name", POLYNOMIALS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_orthogonal_polynomials_equal_scipy(name, dtype):
    x, degree = np.meshgrid(np.linspace(-1.5, 1.5, 61), np.arange(0, 16.0))
    x = x.astype(dtype)
    names = {"x": x.astype(np.float64), "y": degree, "np": np, "special": scipy}
    with np.errstate(all="ignore"):
        want = eval(ROWS[name]["reference"], names)
        want = np.where((degree == 0) & np.isnan(want), 1, want)  # U(-1) is not defined there
    got = getattr(special, name.removeprefix("special_"))(fb.tensor(x), fb.tensor(degree.astype(dtype)))
    largest = np.maximum(1, np.abs(want).max(axis=1, keepdims=True))
    np.testing.assert_allclose(got.numpy() / largest, want / largest, atol=1e-6 if dtype == "float32" else 2e-14)
    assert getattr(special, name.removeprefix("special_"))(fb.tensor(x), -1).abs().max() == 0


@pytest.mark.parametrize("name", POLYNOMIALS)
@pytest.mark.parametrize("size", [inf, 1e300])
def test_overflowing_polynomials_have_the_sign_of_their_leading_term(name, size):
    x, degree = np.array([[-size], [size]]), np.array([2, 3, 4, 5, 10, 15, 100, 101, 10**6 + 1])
    base = -x if "laguerre" in name else x  # the leading term is a positive multiple of base ** degree
    want = np.sign(base) ** degree * inf
    got = getattr(special, name.removeprefix("special_"))(fb.tensor(x), fb.tensor(degree.astype("float64")))
    assert got.tolist() == want.tolist()


@pytest.mark.parametrize(
    ("name", "reference"),
    [("legendre_polynomial_p", scipy.eval_legendre), ("laguerre_polynomial_l", scipy.eval_laguerre)],
)
def test_polynomials_of_huge_degree_do_not_loop_forever(name, reference):
    function = getattr(special, name)
    x = fb.tensor([0.1, 0.3], dtype=fb.float64)
    np.testing.assert_allclose(function(x, 150_000.0).numpy(), reference(150_000, x.numpy()), atol=1e-4)
    assert function(x, 1e15).isfinite().all()
    assert special.hermite_polynomial_h(x, 1e15).shape == (2,)
    assert special.chebyshev_polynomial_t(fb.tensor([0.5, 1.0, -1.0, 2.0]), 1e6).tolist()[1:] == [1, 1, inf]


@pytest.mark.parametrize(
    ("name", "arguments", "want"),
    [
        ("erfinv", ([-1, 1, 2, nan],), [-inf, inf, nan, nan]),
        ("ndtri", ([0, 1, 0.5, -1, 2],), [-inf, inf, 0, nan, nan]),
        ("ndtr", ([-inf, inf, nan],), [0, 1, nan]),
        ("log_ndtr", ([inf, nan],), [0, nan]),
        ("erfcx", ([-inf, inf, -30, nan],), [inf, 0, inf, nan]),
        ("entr", ([-1, 0, 1, nan],), [-inf, 0, 0, nan]),
        ("gammaln", ([0, -1, inf, -inf],), [inf, inf, inf, inf]),
        ("digamma", ([0.0, -0.0, -1, inf, -inf],), [-inf, inf, nan, inf, nan]),
        ("i0", ([inf, -inf, nan, 0],), [inf, inf, nan, 1]),
        ("i1", ([inf, -inf, nan, 0],), [inf, -inf, nan, 0]),
        ("i0e", ([inf, -inf],), [0, 0]),
        ("modified_bessel_k0", ([0, -1, inf, 800],), [inf, nan, 0, 0]),
        ("modified_bessel_k1", ([0, -1, inf, 800],), [inf, nan, 0, 0]),
        ("bessel_y0", ([0, -1],), [-inf, nan]),
        ("bessel_y1", ([0, -1],), [-inf, nan]),
        ("airy_ai", ([200, -inf, nan],), [0, 0, nan]),
        ("spherical_bessel_j0", ([0, inf],), [1, 0]),
        ("gammainc", ([0, 0, 1, 1, inf, -1, 1], [1, 0, inf, 0, 1, 1, -1]), [1, nan, 1, 0, 0, nan, nan]),
        ("gammaincc", ([0, 0, 1, 1, inf, -1, 1], [1, 0, inf, 0, 1, 1, -1]), [0, nan, 0, 1, 1, nan, nan]),
        ("zeta", ([1, 0.5, 2, 2, 2.5], [1, 1, 0, -1, -0.5]), [inf, nan, inf, inf, nan]),
        ("xlogy", ([0, 0, 0], [0, inf, nan]), [0, 0, nan]),
        ("xlog1py", ([0, 0, 0], [-1, inf, nan]), [0, 0, nan]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_functions_at_limits_have_the_expected_values(name, arguments, want, dtype):
    got = getattr(special, name)(*(fb.tensor(np.array(a, dtype)) for a in arguments))
    np.testing.assert_allclose(got.numpy(), np.array(want, dtype), rtol=4 * np.finfo(dtype).eps)


def test_incomplete_gamma_functions_of_4000_elements_match_scipy():
    generator = np.random.default_rng(0)
    a = np.exp(generator.uniform(-5, 9, 4000))
    x = a * np.exp(generator.standard_normal(4000) * 0.3)
    for function, reference in ((special.gammainc, scipy.gammainc), (special.gammaincc, scipy.gammaincc)):
        np.testing.assert_allclose(function(fb.tensor(a), fb.tensor(x)).numpy(), reference(a, x), rtol=2e-9, atol=1e-13)


def test_special_functions_with_parameters_equal_scipy():
    x = np.array([0.3, 1.2, 4.7, 20.0])
    for n in range(6):
        np.testing.assert_allclose(fb.polygamma(n, fb.tensor(x)).numpy(), scipy.polygamma(n, x), rtol=1e-13)
        assert fb.equal(fb.tensor(x).polygamma(n), special.polygamma(n, fb.tensor(x)))
    for p in (1, 2, 5):
        want = [scipy.multigammaln(v, p) for v in x + 2]
        np.testing.assert_allclose(special.multigammaln(fb.tensor(x + 2), p).numpy(), want, rtol=1e-13)
    with pytest.raises(RuntimeError, match="negative n"):
        fb.polygamma(-1, fb.tensor(x))
    with pytest.raises(RuntimeError, match="p has to be"):
        fb.mvlgamma(fb.tensor(x), 0)
    assert special.softmax(fb.tensor(x), 0).sum().item() == pytest.approx(1)


def test_polynomials_accept_a_degree_for_each_element():
    degree = np.resize([0.0, 3, -2, 7.9, 70, 1, -0.5, 300, 2, nan, 12], 37)
    x = np.resize(np.linspace(-1, 1, 13), 37)
    together = special.chebyshev_polynomial_u(fb.tensor(x), fb.tensor(degree)).numpy()
    alone = [special.chebyshev_polynomial_u(fb.tensor(a), fb.tensor(n)).item() for a, n in zip(x, degree, strict=True)]
    np.testing.assert_array_equal(together, alone)
    whole = np.isfinite(degree) & (degree >= 0)
    np.testing.assert_allclose(together[whole], scipy.eval_chebyu(np.trunc(degree[whole]), x[whole]), atol=1e-9)
    assert np.isnan(together[np.isnan(degree)]).all()


def test_incomplete_gamma_functions_of_large_arguments_are_one_and_zero():
    x = fb.tensor([2e3, 1e100, 1e149, 1e200, 1.7e308], dtype=fb.float64)
    for a in (0.3, 2.5, 15.0):
        order = fb.full_like(x, a)
        assert special.gammainc(order, x).tolist() == [1] * 5 and special.gammaincc(order, x).tolist() == [0] * 5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sine_and_cosine_are_at_most_one(dtype):
    top = np.pi / 2 + np.arange(0, 300)[:, None] * np.pi + np.linspace(-1e-3, 1e-3, 4001)
    x = fb.tensor(top.astype(dtype))
    assert x.sin().abs().max() == 1 and (x - np.pi / 2).cos().abs().max() == 1
    near = fb.tensor(np.linspace(-1e-3, 1e-3, 1001).astype(dtype))
    assert near.cos().max() == 1 and fb.tensor(-0.0).sin().signbit() and fb.tensor(-0.0).tan().signbit()


def test_sine_cosine_and_tangent_of_huge_angles_match_numpy():
    for dtype, angles in (("float32", [1e9, 1e20, 3e38]), ("float64", [1e7, 1e22, 1e300])):
        x = np.array([0.5, *angles], dtype)
        for function, reference in ((fb.sin, np.sin), (fb.cos, np.cos), (fb.tan, np.tan)):
            want = reference(x.astype(np.float64))
            np.testing.assert_allclose(function(fb.tensor(x)).numpy(), want, rtol=3e-7 if dtype == "float32" else 1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_functions_match_scipy_outside_the_vectorised_range(dtype):
    """Test arguments that the vectorised recurrence or argument reduction does not cover, among ordinary ones."""
    tolerance = {"rtol": 1e-5, "atol": 1e-7} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-14}
    x = np.linspace(-9.7, 30, 1500).astype(dtype)
    x[[3, 700, 1400]] = -10.25, -57.6, -1000.3
    np.testing.assert_allclose(fb.lgamma(fb.tensor(x)).numpy(), scipy.gammaln(x.astype(float)), **tolerance)
    edges = np.array([0.0, -0.0, -1, -9, -10, -11, inf, nan, 1, 2, 1e300 if dtype == "float64" else 1e30], dtype)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(fb.lgamma(fb.tensor(edges)).numpy(), scipy.gammaln(edges.astype(float)), **tolerance)
    assert fb.lgamma(fb.tensor(np.array(-inf, dtype))).item() == inf
    y = np.linspace(0.01, 40, 1500).astype(dtype)
    y[[5, 900]] = 3e7, 2.5e8
    for name, reference in {"j0": scipy.j0, "j1": scipy.j1, "y0": scipy.y0, "y1": scipy.y1}.items():
        got = getattr(special, f"bessel_{name}")(fb.tensor(y)).numpy()
        usual = y < 1e6
        np.testing.assert_allclose(got[usual], reference(y[usual].astype(float)), rtol=1e-5, atol=tolerance["atol"])
        assert np.abs(got[~usual]).max() < 2e-4
        limits = getattr(special, f"bessel_{name}")(fb.tensor(np.array([0, inf, nan, -inf], dtype))).numpy()
        first = {"j0": 1, "j1": 0, "y0": -inf, "y1": -inf}[name]
        np.testing.assert_array_equal(limits, [first, 0, nan, 0 if name[0] == "j" else nan])
    np.testing.assert_array_equal(
        special.spherical_bessel_j0(fb.tensor(np.array([0, inf, -inf, nan], dtype))).numpy(), [1, 0, 0, nan]
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_incomplete_gamma_functions_match_scipy(dtype):
    rng = np.random.default_rng(4)
    a, x = (2 ** rng.uniform(-4, 4, (2, 20_000))).astype(dtype)
    for name, reference in {"gammainc": scipy.gammainc, "gammaincc": scipy.gammaincc}.items():
        got = getattr(special, name)(fb.tensor(a), fb.tensor(x)).numpy()
        want = reference(a.astype(float), x.astype(float))
        np.testing.assert_allclose(got, want, rtol=2e-7 if dtype == "float32" else 1e-13, atol=1e-45)
