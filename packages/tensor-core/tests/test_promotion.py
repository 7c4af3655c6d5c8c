"""Tests of PyTorch's type promotion against a table."""

import itertools

import pytest
from hypothesis import given, strategies as st

import flambeau as fb

NAMES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]
SHORT = {
    "b": "bool",
    "u1": "uint8",
    "i1": "int8",
    "i2": "int16",
    "i4": "int32",
    "i8": "int64",
    "f2": "float16",
    "bf": "bfloat16",
    "f4": "float32",
    "f8": "float64",
}
# The table of PyTorch's documentation (torch.promote_types); rows and columns in the order of NAMES.
TABLE = """
b  u1 i1 i2 i4 i8 f2 bf f4 f8
u1 u1 i2 i2 i4 i8 f2 bf f4 f8
i1 i2 i1 i2 i4 i8 f2 bf f4 f8
i2 i2 i2 i2 i4 i8 f2 bf f4 f8
i4 i4 i4 i4 i4 i8 f2 bf f4 f8
i8 i8 i8 i8 i8 i8 f2 bf f4 f8
f2 f2 f2 f2 f2 f2 f2 f4 f4 f8
bf bf bf bf bf bf f4 bf f4 f8
f4 f4 f4 f4 f4 f4 f4 f4 f4 f8
f8 f8 f8 f8 f8 f8 f8 f8 f8 f8
"""
PROMOTED = {
    (a, b): SHORT[entry]
    for a, row in zip(NAMES, TABLE.strip().splitlines(), strict=True)
    for b, entry in zip(NAMES, row.split(), strict=True)
}
dtypes = st.sampled_from(NAMES)


def dtype(name):
    return getattr(fb, name)


def kind(name):
    return 0 if name == "bool" else 1 if "int" in name else 2


def expected(operands):
    """Return the promoted dtype. Tensors with dimensions have priority over 0-D tensors, and these over numbers.

    An operand of lower priority changes the result only if its category is higher, such as float with int.
    """
    result = None
    for standing in (1, 0, -1):
        own = None
        for name, dims in operands:
            if dims == standing:
                own = name if own is None else PROMOTED[own, name]
        if own is not None and (result is None or kind(own) > kind(result)):
            result = own if result is None else PROMOTED[result, own]
    return result


@pytest.mark.parametrize(("a", "b"), list(itertools.product(NAMES, NAMES)))
def test_two_tensors_promote_to_the_expected_dtype(a, b):
    assert fb.promote_types(dtype(a), dtype(b)) is dtype(PROMOTED[a, b])
    x, y = fb.ones(2, dtype=dtype(a)), fb.ones(2, dtype=dtype(b))
    assert (x + y).dtype is dtype(PROMOTED[a, b])
    assert (x * y).dtype is dtype(PROMOTED[a, b])
    assert (x < y).dtype is fb.bool
    quotient = PROMOTED[a, b] if kind(PROMOTED[a, b]) == 2 else "float32"
    assert (x / y).dtype is dtype(quotient)
    assert fb.where(fb.tensor([True, False]), x, y).dtype is dtype(PROMOTED[a, b])
    assert fb.cat([x, y]).dtype is dtype(PROMOTED[a, b])


NUMBERS = {True: "bool", 3: "int64", 2.5: "float32"}
operand = st.one_of(
    st.tuples(dtypes, st.sampled_from([0, 1])), st.sampled_from(list(NUMBERS.values())).map(lambda n: (n, -1))
)


@given(operand, operand)
def test_tensors_determine_the_dtype_before_zero_dimensional_tensors_and_numbers(a, b):
    if a[1] == -1 and b[1] == -1:
        return
    values = {name: number for number, name in NUMBERS.items()}
    made = [values[name] if dims < 0 else fb.ones((1,) * dims, dtype=dtype(name)) for name, dims in (a, b)]
    assert (made[0] + made[1]).dtype is dtype(expected([a, b]))
    assert fb.result_type(*made) is dtype(expected([a, b]))


def test_addr_promotes_all_tensors():
    half, double = fb.ones(2, dtype=fb.float16), fb.ones(2, 2, dtype=fb.float64)
    assert fb.addr(double, half, half).dtype is fb.float64
    assert fb.addr(fb.ones(2, 2, dtype=fb.float16), half, half.bfloat16()).dtype is fb.float32
    truth = fb.ones(2, dtype=fb.bool)
    assert fb.addr(fb.ones(2, 2, dtype=fb.complex64), truth, truth).tolist() == [[2, 2], [2, 2]]


def test_default_dtype_is_the_dtype_of_python_floats():
    fb.set_default_dtype(fb.float64)
    assert fb.tensor(1.5).dtype is fb.float64
    assert (fb.tensor([1]) * 1.5).dtype is fb.float64
    assert fb.exp(fb.tensor([1])).dtype is fb.float64
    assert (fb.tensor([1.0], dtype=fb.float16) * 1.5).dtype is fb.float16
    with pytest.raises(TypeError, match="int64"):
        fb.set_default_dtype(fb.int64)


@pytest.mark.parametrize(("to", "source"), list(itertools.product(NAMES, NAMES)))
def test_in_place_operators_reject_results_of_a_higher_category(to, source):
    x, y = fb.ones(2, dtype=dtype(to)), fb.ones(2, dtype=dtype(source))
    if kind(PROMOTED[to, source]) <= kind(to):
        assert x.mul_(y).dtype is dtype(to)
    else:
        with pytest.raises(RuntimeError, match=f"{PROMOTED[to, source]}.*{to}"):
            x.mul_(y)
        assert x.tolist() == [1, 1]
    assert fb.can_cast(dtype(source), dtype(to)) is (kind(source) <= kind(to))


@pytest.mark.parametrize(
    ("function", "results"),
    [
        ("sum", {"bool": "int64", "uint8": "int64", "int32": "int64", "float16": "float16", "float64": "float64"}),
        ("prod", {"bool": "int64", "int8": "int64", "float32": "float32"}),
        ("amax", {"bool": "bool", "uint8": "uint8", "int16": "int16", "bfloat16": "bfloat16"}),
        ("mean", {"float16": "float16", "float64": "float64"}),
        ("all", {"bool": "bool", "uint8": "uint8", "float32": "bool"}),
    ],
)
def test_reductions_return_the_expected_dtypes(function, results):
    for name, result in results.items():
        assert getattr(fb.ones(3, dtype=dtype(name)), function)().dtype is dtype(result)
