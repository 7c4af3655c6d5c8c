"""The dtype and the strides of out=. The operators are those that require them in PyTorch."""

import re

import numpy as np
import pytest

import flambeau as fb

M = fb.tensor([[4.0, 1.0], [1.0, 3.0]])
PLACES = fb.tensor([[0, 1], [1, 0]])
EXACT = {
    "matmul": lambda out: fb.matmul(M, M, out=out),
    "softmax": lambda out: fb.softmax(M, 1, out=out),
    "tril": lambda out: fb.tril(M, out=out),
    "gather": lambda out: fb.gather(M, 1, PLACES, out=out),
    "where": lambda out: fb.where(M > 1, M, M, out=out),
    "amax": lambda out: fb.amax(M, 1, keepdim=True, out=out),
    "cummax": lambda out: fb.cummax(M, 1, out=(out, PLACES.clone())),
    "logcumsumexp": lambda out: fb.logcumsumexp(M, 1, out=out),
    "sort": lambda out: fb.sort(M, out=(out, PLACES.clone())),
    "quantile": lambda out: fb.quantile(M, 0.5, out=out),
    "diff": lambda out: fb.diff(M, out=out),
    "linalg.inv": lambda out: fb.linalg.inv(M, out=out),
    "linalg.eigvalsh": lambda out: fb.linalg.eigvalsh(M, out=out),
    "linalg.norm": lambda out: fb.linalg.norm(M, out=out),
    "neg": lambda out: fb.neg(M, out=out),
    "floor": lambda out: fb.floor(M, out=out),
    "abs": lambda out: fb.abs(M, out=out),
}


@pytest.mark.parametrize("name", EXACT)
def test_out_of_an_unsuitable_dtype_is_rejected(name):
    EXACT[name](fb.empty(0))
    out = fb.zeros(2, 2, dtype=fb.float64)
    with pytest.raises(RuntimeError, match=r"(?i)dtype.*expected"):
        EXACT[name](out)
    assert out.tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("call", [fb.exp, fb.square, fb.logsumexp, fb.cat, fb.linalg.pinv])
def test_out_converts_results_to_a_suitable_dtype(call):
    out = fb.empty(0, dtype=fb.float64)
    arguments = ((M, M),) if call is fb.cat else (M, 1) if call is fb.logsumexp else (M,)
    call(*arguments, out=out)
    np.testing.assert_array_equal(out.numpy(), call(*arguments).double().numpy())


@pytest.mark.parametrize("call", [fb.sum, fb.prod, fb.cumsum, fb.cumprod])
def test_sums_and_products_are_computed_in_the_dtype_of_out(call):
    x = np.array([200, 100], dtype=np.uint8)
    reference = getattr(np, call.__name__)
    for dtype in (fb.uint8, fb.float32, fb.int64):
        out = fb.empty(0, dtype=dtype)
        call(fb.tensor(x), 0, out=out)
        np.testing.assert_array_equal(out.numpy(), reference(x, 0, dtype=str(dtype).partition(".")[2]))
        with pytest.raises(RuntimeError, match="Expected out tensor to have dtype float64"):
            call(fb.tensor(x), 0, dtype=fb.float64, out=out)
    half = fb.full((3,), 30000.0, dtype=fb.float16)
    assert fb.sum(half, 0, out=fb.empty(())).item() == 90000


@pytest.mark.parametrize("call", [fb.all, fb.any])
def test_any_and_all_accept_out_of_bool_or_uint8(call):
    for x in (M, M.to(fb.uint8)):
        for dtype in (fb.bool, fb.uint8):
            assert call(x, 0, out=fb.empty(0, dtype=dtype)).tolist() == [True, True]
    with pytest.raises(RuntimeError, match=f"{call.__name__} only supports bool tensor for result, got: Float"):
        call(M, 0, out=fb.empty(0))


@pytest.mark.parametrize("dtype", [fb.bool, fb.uint8, fb.int16, fb.int64, fb.float64])
def test_bernoulli_writes_to_every_dtype(dtype):
    out = fb.empty(0, dtype=dtype)
    assert fb.bernoulli(fb.tensor([0.0, 1.0]), out=out).tolist() == [0, 1] and out.dtype is dtype


def test_a_resized_out_has_the_memory_order_of_the_operands():
    x = fb.rand(2, 3, 4).permute(2, 0, 1)
    for call in (lambda out: fb.exp(x, out=out), lambda out: fb.add(x, fb.rand(3), out=out)):
        assert call(fb.empty(0)).stride() == x.stride()
        assert call(fb.empty(4, 2, 3)).is_contiguous()


def test_factories_with_out_set_requires_grad():
    pytest.importorskip("flambeau.autograd")
    out = fb.empty(0)
    assert fb.full((2,), 3.0, out=out, requires_grad=True) is out
    assert out.requires_grad and out.is_leaf and out.tolist() == [3, 3]
    with pytest.raises(RuntimeError, match="Only Tensors of floating point and complex dtype"):
        fb.zeros(2, dtype=fb.int64).new_ones(2, requires_grad=True)


# Operators that write their result to out= without a copy: arguments after the first, as functions of a tensor.
DIRECT = {
    "add": [lambda y: ((2,), {}), lambda y: ((2,), {"alpha": 3}), lambda y: ((y,), {"alpha": -2})],
    "sub": [lambda y: ((y,), {}), lambda y: ((2,), {"alpha": 3}), lambda y: ((y,), {"alpha": -2})],
    "div": [
        lambda y: ((y,), {}),
        lambda y: ((y,), {"rounding_mode": "floor"}),
        lambda y: ((3,), {"rounding_mode": "trunc"}),
    ],
    "clamp": [lambda y: ((-1, 1), {}), lambda y: ((), {"min": 0}), lambda y: ((), {"max": y}), lambda y: ((y, 2), {})],
}
CALLS = [(name, others) for name, calls in DIRECT.items() for others in calls]


@pytest.mark.parametrize(("name", "others"), CALLS)
@pytest.mark.parametrize("dtype", [fb.float32, fb.float16, fb.int64, fb.complex64])
def test_results_written_to_out_equal_the_returned_ones(name, others, dtype):
    fb.manual_seed(0)
    x, y = ((10 * fb.randn(4, 6)).to(dtype) for _ in range(2))
    y[y == 0] = 1
    arguments, keywords = others(y)
    function = getattr(fb, name)
    try:
        expected = function(x, *arguments, **keywords)
    except NotImplementedError:
        assert dtype == fb.complex64 and (name == "clamp" or "rounding_mode" in keywords)
        return

    out, wide = fb.empty(0, dtype=expected.dtype), fb.empty(4, 6, dtype=fb.complex128)
    assert function(x, *arguments, **keywords, out=out) is out
    assert fb.equal(out, expected)
    function(x, *arguments, **keywords, out=wide)
    assert fb.equal(wide, expected.to(fb.complex128))
    if expected.dtype != dtype:
        return
    same, rows = x.clone(), fb.cat([x, x])
    assert getattr(same, f"{name}_")(*arguments, **keywords) is same
    assert fb.equal(same, expected)
    function(rows[:4], *arguments, **keywords, out=rows[1:5])  # out= overlaps the operand
    assert fb.equal(rows, fb.cat([x[:1], expected, x[1:]]))


@pytest.mark.parametrize(("name", "others"), CALLS)
def test_an_error_leaves_out_unchanged(name, others):
    x = fb.tensor([1.5, -2.5, 3.5])
    arguments, keywords = others(x.clone())
    function, narrow = getattr(fb, name), fb.tensor([1, 2, 3])
    with pytest.raises(RuntimeError, match=r"result type .* can't be cast to the desired output type"):
        function(x, *arguments, **keywords, out=narrow)
    assert narrow.tolist() == [1, 2, 3]
    with pytest.raises(TypeError, match=rf"{name}\(\): argument 'out' must be Tensor, not int"):
        function(x, *arguments, **keywords, out=3)
    expanded = fb.zeros(1).expand(3)
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        function(x, *arguments, **keywords, out=expanded)
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        getattr(expanded, f"{name}_")(*arguments, **keywords)
    assert expanded.tolist() == [0, 0, 0]


def test_rsub_accepts_true_as_alpha():
    truth = fb.tensor([True, False])
    with pytest.raises(RuntimeError, match="Subtraction, the `-` operator, with a bool tensor is not supported"):
        fb.rsub(truth, truth, alpha=True)
    assert fb.rsub(fb.tensor([1.0, 3.0]), 2, alpha=True).tolist() == [1, -1]


@pytest.mark.parametrize(
    ("call", "shape"),
    [
        (lambda out: fb.add(fb.ones(3), 1, out=out), "[3]"),
        (lambda out: fb.exp(fb.ones(3), out=out), "[3]"),
        (lambda out: fb.mm(M, M, out=out), str(list(M.shape))),
        (lambda out: fb.sum(fb.ones(3, 4), 0, out=out), "[4]"),
        (lambda out: fb.sort(fb.ones(3), out=(out, fb.zeros(0, dtype=fb.int64))), "[3]"),
        (lambda out: fb.cat([fb.ones(2), fb.ones(1)], out=out), "[3]"),
    ],
    ids=["add", "exp", "mm", "sum", "sort", "cat"],
)
def test_a_result_of_another_shape_resizes_out_with_a_warning(call, shape):
    expected = call(fb.empty(0))
    out = fb.zeros(5, 7)
    text = f"resized since it had shape [5, 7], which does not match the required output shape {shape}"
    with pytest.warns(UserWarning, match=re.escape(text)):
        call(out)
    assert fb.equal(out, expected[0] if isinstance(expected, tuple) else expected)


def test_a_resize_warning_raised_as_an_error_leaves_out_unchanged():
    out = fb.zeros(5, 7)
    for call in (lambda: fb.exp(fb.ones(3), out=out), lambda: fb.cat([fb.ones(3)], out=out)):
        with pytest.raises(UserWarning, match="was resized"):
            call()
    assert out.shape == (5, 7)
    assert not out.any()


def test_factories_resize_out_without_a_warning():
    assert fb.linspace(0, 1, 3, out=fb.zeros(5, 7)).shape == (3,)


@pytest.mark.parametrize("pair", [tuple, list])
def test_results_written_to_out_have_named_fields(pair):
    values, places = fb.empty(2), fb.empty(2, dtype=fb.int64)
    result = fb.max(M, 1, out=pair((values, places)))
    assert result.values is values and result.indices is places and values.tolist() == [4, 3]
    q, r = fb.empty(2, 2), fb.empty(2, 2)
    factors = fb.linalg.qr(M, out=pair((q, r)))
    assert factors.Q is q and factors.R is r and type(factors) is type(fb.linalg.qr(M))
