"""The array API standard: its names, signatures, dtypes and promotion."""

import inspect
import itertools
from pathlib import Path

import numpy as np
import pytest

import flambeau as fb
from flambeau import array_api as xp

# One line for each function of the standard, version 2025.12, without annotations.
SIGNATURES = (Path(__file__).parent / "array_api_signatures.txt").read_text().splitlines()
ARITHMETIC = [
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "pow",
    "mod",
    "matmul",
    "and",
    "or",
    "xor",
    "lshift",
    "rshift",
]
OTHERS = [
    "abs",
    "bool",
    "complex",
    "eq",
    "float",
    "ge",
    "getitem",
    "gt",
    "index",
    "int",
    "invert",
    "le",
    "lt",
    "ne",
    "neg",
    "pos",
    "setitem",
    "dlpack",
    "dlpack_device",
]
METHODS = [
    *(f"__{prefix}{name}__" for prefix in ("", "r", "i") for name in ARITHMETIC),
    *(f"__{name}__" for name in OTHERS),
    "__array_namespace__",
    "to_device",
]
INTEGERS = list(xp.__array_namespace_info__().dtypes(kind="integral"))
REAL = ["float32", "float64"]
COMPLEX = ["complex64", "complex128"]
DTYPES = ["bool", *INTEGERS, *REAL, *COMPLEX]


def dtype(name):
    return getattr(xp, name)


@pytest.mark.parametrize("line", SIGNATURES, ids=lambda line: line.partition("(")[0])
def test_the_namespace_has_every_function_of_the_standard(line):
    name, _, parameters = line.partition("(")
    function = xp
    for part in name.split("."):
        function = getattr(function, part)
    scope = {}
    exec(f"def expected({parameters}: ...", scope)
    plain = [p.replace(annotation=p.empty) for p in inspect.signature(function).parameters.values()]
    assert plain == list(inspect.signature(scope["expected"]).parameters.values())
    assert function.__doc__
    assert function.__name__ == name.rpartition(".")[2]


@pytest.mark.parametrize("name", METHODS)
def test_arrays_have_every_method_of_the_standard(name):
    assert callable(getattr(fb.Tensor, name))


def test_array_namespace_returns_the_module():
    x = fb.ones(2)
    assert x.__array_namespace__() is x.__array_namespace__(api_version="2025.12") is fb.array_api
    assert x.__array_namespace__(api_version="2022.12") is fb.array_api
    with pytest.raises(ValueError, match="1999"):
        x.__array_namespace__(api_version="1999.12")
    assert xp.__array_api_version__ == "2025.12"
    assert (xp.e, xp.pi, xp.inf, xp.newaxis) == (np.e, np.pi, np.inf, None) and xp.nan != xp.nan
    listed = set(dir(xp))
    assert set(xp.__all__) <= listed
    assert {line.partition("(")[0] for line in SIGNATURES if "." not in line.partition("(")[0]} <= set(xp.__all__)
    assert set(DTYPES) <= set(xp.__all__)


def test_arrays_have_every_attribute_of_the_standard():
    x = fb.zeros(2, 3)
    assert x.ndim == 2 and x.shape == (2, 3) and x.mT.shape == x.T.shape == (3, 2)
    assert x.dtype == xp.float32 and x.dtype != xp.float64
    assert x.to_device(x.device) is x and x.to_device("cpu").device == x.device
    with pytest.raises((RuntimeError, ValueError), match="nowhere"):
        x.to_device("nowhere")


def test_array_namespace_info_describes_devices_and_dtypes():
    info = xp.__array_namespace_info__()
    assert info.capabilities() == {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}
    assert fb.ones([1] * 64).ndim == 64
    assert info.default_device() == fb.ones(1).device and info.default_device() in info.devices()
    assert info.default_dtypes() == {
        "real floating": xp.float32,
        "complex floating": xp.complex64,
        "integral": xp.int64,
        "indexing": xp.int64,
    }
    assert info.dtypes() == {name: dtype(name) for name in DTYPES}
    assert info.dtypes(kind="real floating") == {name: dtype(name) for name in REAL}
    assert info.dtypes(kind=("bool", "complex floating")) == {name: dtype(name) for name in ["bool", *COMPLEX]}
    with pytest.raises(ValueError, match="strange"):
        info.dtypes(kind="strange")


KINDS = ["bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating", "numeric"]


@pytest.mark.parametrize("name", DTYPES)
def test_isdtype_matches_numpy(name):
    for kind in KINDS:
        assert xp.isdtype(dtype(name), kind) == np.isdtype(np.dtype(name), kind)
    assert xp.isdtype(dtype(name), ("bool", "numeric")) and xp.isdtype(dtype(name), dtype(name))
    with pytest.raises(ValueError, match="strange"):
        xp.isdtype(dtype(name), "strange")
    with pytest.raises(TypeError, match="int"):
        xp.isdtype(dtype(name), 3)


def same_family(*names):
    """Return True if the standard defines the result of promoting these dtypes."""
    kinds = {np.dtype(name).kind for name in names}
    mixed_with_the_largest = "uint64" in names and "i" in kinds
    return (kinds == {"b"} or kinds <= {"i", "u"} or kinds <= {"f", "c"}) and not mixed_with_the_largest


PAIRS = [pair for pair in itertools.product(DTYPES, DTYPES) if same_family(*pair)]


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_array_api_promotion_of_dtypes_matches_numpy(pair):
    first, second = map(dtype, pair)
    expected = dtype(str(np.result_type(*pair)))
    assert xp.result_type(first, second) == expected
    assert xp.can_cast(first, second) == (expected == second)
    for shapes in [((2,), (2,)), ((2,), ()), ((), (2,)), ((), ())]:
        x1, x2 = xp.ones(shapes[0], dtype=first), xp.ones(shapes[1], dtype=second)
        assert xp.result_type(x1, x2) == xp.result_type(x1, second) == expected
        add = xp.logical_and if pair == ("bool", "bool") else xp.multiply
        assert add(x1, x2).dtype == expected
        assert xp.where(xp.asarray([True, False]), x1, x2).dtype == expected
    assert xp.concat([xp.ones((2,), dtype=first), xp.ones((1,), dtype=second)]).dtype == expected


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("scalar", [True, 2, 0.5, 1j], ids=repr)
def test_operators_with_python_scalars_keep_the_dtype(name, scalar):
    kind = np.dtype(name).kind
    if kind not in {bool: "b", int: "iufc", float: "fc", complex: "fc"}[type(scalar)]:
        return
    x = xp.ones((2,), dtype=dtype(name))
    expected = x.dtype
    if isinstance(scalar, complex) and kind == "f":
        expected = xp.complex128 if name == "float64" else xp.complex64
    assert xp.result_type(x, scalar) == xp.result_type(scalar, x.dtype) == expected
    function = xp.logical_or if name == "bool" else xp.multiply
    for result in (function(x, scalar), function(scalar, x)):
        assert result.dtype == expected
        np.testing.assert_array_equal(result.numpy(), np.full(2, scalar or True).astype(result.numpy().dtype))


def test_functions_of_scalars_without_arrays_are_rejected():
    with pytest.raises(TypeError, match="add"):
        xp.add(1, 2)
    with pytest.raises(TypeError, match="str"):
        xp.add(xp.ones((2,)), "2")
    with pytest.raises(ValueError, match="at least one"):
        xp.result_type(1, 2.0)
    with pytest.raises(TypeError, match="str"):
        xp.result_type(xp.float32, "a")


def test_can_cast_follows_the_promotion_of_dtypes():
    assert not xp.can_cast(xp.int64, xp.float64) and not xp.can_cast(xp.bool, xp.int8)
    assert not xp.can_cast(xp.complex64, xp.float64) and not xp.can_cast(xp.int16, xp.int8)
    assert xp.can_cast(xp.ones((), dtype=xp.float32), xp.float64) and xp.can_cast(xp.float64, xp.complex128)


@pytest.mark.parametrize("name", REAL + COMPLEX)
def test_finfo_matches_numpy(name):
    limits, expected = xp.finfo(dtype(name)), np.finfo(name)
    for attribute in ("bits", "eps", "max", "min", "smallest_normal"):
        assert getattr(limits, attribute) == getattr(expected, attribute)
        assert type(getattr(limits, attribute)) is (int if attribute == "bits" else float)
    assert limits.dtype == dtype(str(expected.dtype)) and xp.finfo(xp.ones((2,), dtype=dtype(name))) == limits


@pytest.mark.parametrize("name", INTEGERS)
def test_iinfo_matches_numpy(name):
    limits, expected = xp.iinfo(dtype(name)), np.iinfo(name)
    assert (limits.bits, limits.min, limits.max) == (expected.bits, expected.min, expected.max)
    assert limits.dtype == dtype(name) and xp.iinfo(xp.ones((2,), dtype=dtype(name))) == limits


def test_finfo_and_iinfo_reject_dtypes_of_the_wrong_category():
    with pytest.raises(TypeError, match="int32"):
        xp.finfo(xp.int32)
    with pytest.raises(TypeError, match="float32"):
        xp.iinfo(xp.float32)


@pytest.mark.parametrize("target", DTYPES)
@pytest.mark.parametrize("name", DTYPES)
def test_astype_matches_numpy_and_rejects_complex_to_real(name, target):
    x = xp.asarray([0, 1, 3], dtype=dtype(name))
    if name in COMPLEX and target not in COMPLEX:
        with pytest.raises(TypeError, match=name):
            xp.astype(x, dtype(target))
        return
    result = xp.astype(x, dtype(target))
    assert result.dtype == dtype(target) and result is not x
    np.testing.assert_array_equal(result.numpy(), x.numpy().astype(target))
    assert (xp.astype(x, dtype(target), copy=False) is x) == (name == target)
    assert xp.astype(x, dtype(target), device=x.device).dtype == dtype(target)
