"""Tests of operators on lists of tensors against NumPy on single arrays."""

import numpy as np
import pytest
import scipy.special

import flambeau as fb
from flambeau import _foreach
from flambeau.utils._foreach_utils import _group_tensors_by_device_and_dtype

RNG = np.random.default_rng(0)
ARRAYS = [RNG.uniform(0.1, 0.9, shape) for shape in ((3,), (2, 2), ())]
OTHERS = [RNG.uniform(0.1, 0.9, shape) for shape in ((3,), (2, 2), ())]
UNARY = {
    **{name: getattr(np, name) for name in ("abs", "ceil", "cos", "cosh", "exp", "expm1", "floor", "log", "log10")},
    **{
        name: getattr(np, name)
        for name in ("log1p", "log2", "reciprocal", "sign", "sin", "sinh", "sqrt", "tan", "tanh")
    },
    "acos": np.arccos,
    "asin": np.arcsin,
    "atan": np.arctan,
    "neg": np.negative,
    "round": np.round,
    "trunc": np.trunc,
    "erf": scipy.special.erf,
    "erfc": scipy.special.erfc,
    "lgamma": scipy.special.gammaln,
    "frac": lambda x: x % 1,
    "rsqrt": lambda x: x**-0.5,
    "sigmoid": scipy.special.expit,
}
LIST, NUMBER, NUMBERS, SCALAR = OTHERS, 0.3, [0.1, 0.2, 0.3], np.asarray(0.7)
SEVERAL = [
    *(("add", (o,), np.add) for o in (LIST, NUMBER, NUMBERS, SCALAR)),
    *(("sub", (o,), np.subtract) for o in (LIST, NUMBER, NUMBERS)),
    *(("mul", (o,), np.multiply) for o in (LIST, NUMBER, NUMBERS, SCALAR)),
    *(("div", (o,), np.divide) for o in (LIST, NUMBER, NUMBERS, SCALAR)),
    *(("pow", (o,), np.power) for o in (LIST, NUMBER, NUMBERS)),
    *((name, (o,), np.maximum) for name in ("maximum", "clamp_min") for o in (LIST, NUMBER, NUMBERS)),
    *((name, (o,), np.minimum) for name in ("minimum", "clamp_max") for o in (LIST, NUMBER, NUMBERS)),
    *(("lerp", (LIST, o), lambda x, y, w: x + w * (y - x)) for o in (LIST, NUMBER, NUMBERS)),
    ("addcmul", (LIST, LIST), lambda x, y, z: x + y * z),
    *(("addcmul", (LIST, LIST, o), lambda x, y, z, v: x + v * y * z) for o in (NUMBER, NUMBERS)),
    *(("addcdiv", (LIST, ARRAYS, o), lambda x, y, z, v: x + v * y / z) for o in (NUMBER, NUMBERS)),
]


def tensors(value):
    if isinstance(value, list):
        return [tensors(each) for each in value]
    return fb.tensor(value) if isinstance(value, np.ndarray | np.float64) else value


def check(name, given, expected):
    results = getattr(fb, f"_foreach_{name}")(*given)
    assert isinstance(results, tuple)
    for result, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(result.numpy(), wanted, rtol=1e-12)
    if f"{name}_" in _foreach.FUNCTIONS:
        changed = [each.clone() for each in given[0]]
        assert getattr(fb, f"_foreach_{name}_")(changed, *given[1:]) is changed
        for result, wanted in zip(changed, expected, strict=True):
            np.testing.assert_allclose(result.numpy(), wanted, rtol=1e-12)


@pytest.mark.parametrize("name", UNARY)
def test_foreach_operators_of_one_list_match_numpy(name):
    check(name, [tensors(ARRAYS)], [UNARY[name](array) for array in ARRAYS])


@pytest.mark.parametrize(("name", "others", "reference"), SEVERAL)
def test_foreach_operators_of_several_lists_match_numpy(name, others, reference):
    rows = zip(ARRAYS, *(other if isinstance(other, list) else [other] * 3 for other in others), strict=True)
    check(name, [tensors(ARRAYS), *map(tensors, others)], [reference(*row) for row in rows])


def test_foreach_pow_norm_and_other_functions_match_numpy():
    a, b = tensors(ARRAYS), tensors(OTHERS)
    check("pow", [0.5, a][::-1], [array**0.5 for array in ARRAYS])
    for result, array in zip(fb._foreach_pow(0.5, a), ARRAYS, strict=True):
        np.testing.assert_allclose(result.numpy(), 0.5**array)
    for ord in (1, 2, np.inf):
        norms = [np.linalg.norm(array.ravel(), ord) for array in ARRAYS]
        np.testing.assert_allclose([norm.item() for norm in fb._foreach_norm(a, ord)], norms)
    assert [each.item() for each in fb._foreach_max(a)] == [array.max() for array in ARRAYS]
    assert fb._foreach_add(a, b, alpha=2)[0].equal(a[0] + 2 * b[0]) and fb._foreach_clone(a)[0] is not a[0]
    assert fb._foreach_copy_(a, b) is a and all(map(fb.equal, a, b))
    vector = fb._foreach_addcmul(a, a, a, fb.tensor([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(vector[2].item(), a[2].item() + 3 * a[2].item() ** 2)
    assert fb._foreach_zero_(a) is a and all(each.count_nonzero() == 0 for each in a)
    assert fb._foreach_mm([fb.eye(2)], [fb.ones(2, 2)])[0].equal(fb.ones(2, 2))
    assert fb._foreach_add.__name__ == "_foreach_add" and fb._foreach_add is fb._foreach_add


@pytest.mark.parametrize(
    ("name", "operands", "expected"),
    [
        ("mul", {"scalar": 2.0}, 4.0),
        ("add", {"scalars": [2.0, 3.0]}, 4.0),
        ("add", {"other": [fb.ones(1), fb.ones(2)], "alpha": 3}, 5.0),
        ("clamp_max", {"scalar": 1.0}, 1.0),
        ("minimum", {"other": [fb.ones(1), fb.ones(2)]}, 1.0),
        ("pow", {"exponent": 3.0}, 8.0),
        ("lerp", {"weight": 0.5, "tensors1": [fb.ones(1), fb.ones(2)]}, 1.5),
        ("addcmul", {"tensor1": [fb.ones(1), fb.ones(2)], "tensor2": [fb.ones(1), fb.ones(2)], "value": 2}, 4.0),
    ],
)
def test_foreach_operators_accept_the_keywords_of_pytorch(name, operands, expected):
    assert getattr(fb, f"_foreach_{name}")(self=[fb.full((1,), 2.0), fb.full((2,), 2.0)], **operands)[0] == expected
    changed = [fb.full((1,), 2.0), fb.full((2,), 2.0)]
    assert getattr(fb, f"_foreach_{name}_")(self=changed, **operands) is changed and changed[0] == expected
    with pytest.raises(TypeError):
        getattr(fb, f"_foreach_{name}")(changed, nothing=operands)


def test_foreach_operators_reject_invalid_arguments():
    with pytest.raises(RuntimeError, match="same number of tensors, got 3 and 1"):
        fb._foreach_add(tensors(ARRAYS), [fb.ones(1)])
    with pytest.raises(RuntimeError, match="at least one tensor"):
        fb._foreach_neg([])
    with pytest.raises(AttributeError):
        _ = fb._foreach_nothing


def test_group_tensors_by_device_and_dtype_returns_groups_with_indices():
    params = [fb.ones(1), fb.ones(2, dtype=fb.float64), fb.ones(3)]
    groups = _group_tensors_by_device_and_dtype([params, [None, 1, 2]], with_indices=True)
    cpu = fb.device("cpu")
    assert list(groups) == [(cpu, fb.float32), (cpu, fb.float64)]
    (lists, indices) = groups[cpu, fb.float32]
    assert lists[0][1] is params[2] and lists[1] == [None, 2] and indices == [0, 2]


def test_lists_that_are_neither_true_nor_false_are_accepted():
    class Tensors(list):
        def __bool__(self):
            raise RuntimeError("ambiguous")

    tensors = Tensors([fb.ones(2), fb.zeros(1)])
    fb._foreach_add_(tensors, tensors, alpha=2)
    assert [each.tolist() for each in tensors] == [[3, 3], [0]]
    with pytest.raises(RuntimeError, match="at least one tensor"):
        fb._foreach_neg(Tensors())
