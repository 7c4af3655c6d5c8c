"""Derivatives with respect to sparse values and dense operands, compared with finite differences."""

import copy

import numpy as np
import pytest

import flambeau as fb
import flambeau.sparse
from flambeau.autograd import Function, gradcheck, gradgradcheck

RNG = np.random.default_rng(2)
INDICES = fb.tensor([[0, 2, 2, 0, 1], [1, 0, 3, 1, 2]])
SIZE = (3, 4)


def tensor(*shape):
    return fb.tensor(RNG.normal(size=shape), requires_grad=True)


def sparse(values, layout="coo"):
    s = fb.sparse_coo_tensor(INDICES, values, (*SIZE, *values.shape[1:]))
    if layout in ("bsr", "bsc"):
        return getattr(s, f"to_sparse_{layout}")((3, 1))
    return s if layout == "coo" else getattr(s, f"to_sparse_{layout}")()


def dense(result):
    return result.to_dense()


UNARY = {
    "to_dense": lambda s: s,
    "coalesce": lambda s: s.coalesce() if s.is_sparse else s,
    "sum": lambda s: s.sum(),
    "sum of rows": lambda s: s.sum(1, keepdim=True),
    "softmax": lambda s: fb.sparse.softmax(s, 1),
    "log_softmax": lambda s: fb.sparse.log_softmax(s, 0),
    "sin": lambda s: s.sin(),
    "tanh": lambda s: s.tanh(),
    "scaled": lambda s: 3 * s / 2,
    "squared": lambda s: s**2,
    "product": lambda s: s * s,
    "sum of two": lambda s: s + 2 * s,
    "transposed": lambda s: s.t(),
    "product with itself": lambda s: s @ s.t(),
    "joined": lambda s: fb.cat([s, s], 1),
    "part": lambda s: s.index_select(0, fb.tensor([2, 0, 2])),
    "row": lambda s: s.select(0, 2),
    "narrowed": lambda s: s.narrow(1, 1, 2),
    "norm": lambda s: s.norm(),
}


@pytest.mark.parametrize("layout", ["coo", "csr", "csc", "bsr", "bsc"])
@pytest.mark.parametrize("name", UNARY)
def test_functions_of_sparse_values_pass_gradcheck(name, layout):
    assert gradcheck(lambda v: dense(UNARY[name](sparse(v, layout))), (tensor(5),))


@pytest.mark.parametrize("layout", ["coo", "csr", "csc", "bsr", "bsc"])
@pytest.mark.parametrize(
    ("call", "shape"),
    [
        (lambda s, d: s @ d, (4, 2)),
        (lambda s, d: s @ d, (4,)),
        (lambda s, d: d @ s, (2, 3)),
        (lambda s, d: s.t() @ d, (3, 2)),
        (lambda s, d: d + s, SIZE),
        (lambda s, d: d - s, SIZE),
        (lambda s, d: s * d, SIZE),
        (lambda s, d: s * d, (4,)),
        (lambda s, d: s * d, ()),
        (lambda s, d: s / d, ()),
        (lambda s, d: d.sparse_mask(s.detach()), SIZE),
        (lambda s, d: fb.addmm(d, s, fb.ones(4, 2, dtype=fb.float64), beta=2, alpha=3), (3, 2)),
    ],
)
def test_operators_of_sparse_and_dense_tensors_pass_gradcheck(call, shape, layout):
    inputs = tensor(5), tensor(*shape)
    function = lambda v, d: dense(call(sparse(v, layout), d))  # noqa: E731
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


def test_derivatives_of_hybrid_and_batched_sparse_tensors_match_finite_differences():
    assert gradcheck(lambda v: dense(fb.sparse.sum(sparse(v), (0, 2))), (tensor(5, 2),))
    assert gradcheck(lambda v: dense(fb.sparse.softmax(sparse(v), 1)), (tensor(5, 2),))
    indices = fb.tensor([[0, 1, 1], [0, 2, 0], [3, 1, 1]])
    made = lambda v: fb.sparse_coo_tensor(indices, v, (2, 3, 4))  # noqa: E731
    assert gradcheck(lambda v, d: fb.bmm(made(v), d), (tensor(3), tensor(2, 4, 2)))
    assert gradcheck(lambda v, d: fb.bmm(d, made(v)), (tensor(3), tensor(2, 2, 3)))


@pytest.mark.parametrize("layout", ["csr", "csc", "bsr", "bsc"])
def test_derivatives_of_batched_compressed_tensors_match_finite_differences(layout):
    block = (2, 1) if layout.startswith("bs") else ()
    offsets, indices = fb.tensor([[0, 1, 3], [0, 2, 3]]), fb.tensor([[1, 0, 1], [0, 1, 0]])
    make = lambda v: getattr(fb, f"sparse_{layout}_tensor")(offsets, indices, v)  # noqa: E731
    values = tensor(2, 3, *block, 2)
    assert gradcheck(lambda v: make(v).to_dense(), (values,))
    assert gradcheck(lambda v: make(v).to_sparse_coo().coalesce().values(), (values,))
    assert gradcheck(lambda v: (make(v).transpose(1, 2) * 2)[1].to_dense(), (values,))
    right = tensor(2, make(values).shape[2], 3)
    assert gradcheck(lambda v, d: make(v)[..., 0] @ d, (values, right))


@pytest.mark.parametrize("layout", ["csr", "csc", "bsr", "bsc"])
def test_gradients_pass_through_to_sparse_and_to_dense(layout):
    block = (2, 1) if layout.startswith("bs") else None
    dense = fb.tensor([[0, 2.0, 0], [0, 0, 0], [1, 3, 0], [4, 0, 0]], dtype=fb.float64)
    made = dense.requires_grad_().to_sparse(layout=getattr(fb, f"sparse_{layout}"), blocksize=block)
    (made.values() ** 2).sum().backward()
    assert dense.grad.tolist() == (2 * dense).tolist()
    s = made.detach().requires_grad_()
    s.to_dense().mul(dense.detach()).sum().backward()
    assert s.grad.layout is s.layout and s.grad.to_dense().tolist() == dense.tolist()


def test_derivatives_of_sampled_addmm_match_finite_differences():
    call = lambda v, a, b: fb.sparse.sampled_addmm(sparse(v, "csr"), a, b, beta=0.5, alpha=2.0).values()  # noqa: E731
    assert gradcheck(call, (tensor(5), tensor(3, 2), tensor(2, 4)))


@pytest.mark.parametrize("layout", ["coo", "csr"])
def test_a_sparse_leaf_has_a_sparse_gradient(layout):
    s = sparse(fb.ones(5), layout).requires_grad_()
    assert s.requires_grad and s.is_leaf and s.grad is None and s.grad_fn is None
    (fb.sparse.mm(s, fb.ones(4, 2))).sum().backward()
    assert s.grad.layout is s.layout and s.grad._nnz() == 4 and set(s.grad._values().tolist()) == {2}
    (s.sum() * 3).backward()
    assert set(s.grad._values().tolist()) == {5}
    s.grad = None
    assert s.grad is None
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        s.mul_(2)
    result = s * 2
    assert not result.is_leaf and result.grad_fn is not None and "grad_fn" in repr(result)
    assert not s.detach().requires_grad and "requires_grad=True" in repr(s)


def test_autograd_grad_returns_the_gradient_of_a_sparse_tensor():
    s, d = sparse(fb.ones(5)).requires_grad_(), fb.ones(4, 2, requires_grad=True)
    of_s, of_d = fb.autograd.grad((s @ d).sum(), (s, d))
    assert of_s.is_sparse and of_s._values().tolist() == [2] * 4 and of_d.shape == (4, 2) and s.grad is None
    with pytest.raises(RuntimeError, match="to not have been used"):
        fb.autograd.grad(d.sum(), s)


def test_gradients_flow_to_the_values_tensor():
    values = fb.ones(5, requires_grad=True)
    made = fb.sparse_coo_tensor(INDICES, values, SIZE)
    separate = fb.sparse_coo_tensor(INDICES, values, SIZE, requires_grad=True)
    (made.sum() + 5 * separate.sum()).backward()
    assert values.grad.tolist() == [1] * 5 and separate.grad._values().tolist() == [5] * 4


class Product(Function):
    @staticmethod
    def forward(ctx, indices, values, b):
        a = fb.sparse_coo_tensor(indices, values, SIZE)
        ctx.save_for_backward(a, None, b)
        return a @ b

    @staticmethod
    def backward(ctx, grad):
        a, nothing, b = ctx.saved_tensors
        assert a.is_sparse and nothing is None
        row, column = a._indices()
        return None, (grad[row] * b[column]).sum(1), a.t() @ grad


def test_custom_functions_can_save_sparse_tensors():
    inputs = tensor(5), tensor(4, 2)
    assert gradcheck(lambda v, b: Product.apply(INDICES, v, b), inputs)


def test_assigned_gradients_stay_sparse_and_add_up():
    leaf = fb.ones(3, 2, requires_grad=True)
    leaf.grad = fb.sparse_coo_tensor([[1]], [[2.0, 3.0]], (3, 2))
    assert leaf.grad.is_sparse and leaf.grad._nnz() == 1
    (leaf * 4).sum().backward()
    assert leaf.grad.tolist() == [[4, 4], [6, 7], [4, 4]]
    leaf.grad = None
    (leaf * 4).sum().backward()
    assert leaf.grad.tolist() == [[4, 4]] * 3
    with pytest.raises(RuntimeError, match="different size"):
        leaf.grad = fb.sparse_coo_tensor((2, 2))


def test_a_custom_function_accepts_a_sparse_argument_but_not_its_gradient():
    class Product(Function):
        @staticmethod
        def forward(ctx, matrix, dense):
            ctx.save_for_backward(matrix)
            return fb.sparse.mm(matrix, dense)

        @staticmethod
        def backward(ctx, grad):
            return None, fb.sparse.mm(ctx.saved_tensors[0].t(), grad)

    matrix, dense = sparse(fb.arange(1.0, 6.0)), fb.ones(4, 2, requires_grad=True)
    result = Product.apply(matrix, dense)
    assert result.tolist() == (matrix.to_dense() @ dense).tolist()
    result.sum().backward()
    assert dense.grad.tolist() == (matrix.to_dense().mT @ fb.ones(3, 2)).tolist()
    with pytest.raises(NotImplementedError, match=r"Product.apply: gradients of sparse arguments"):
        Product.apply(sparse(fb.ones(5)).requires_grad_(), dense)


@pytest.mark.parametrize("reduce", ["sum", "mean", "amax", "amin"])
def test_derivatives_of_sparse_mm_with_a_reduction_match_finite_differences(reduce):
    function = lambda v, d: fb.sparse.mm(sparse(v, "csr"), d, reduce)  # noqa: E731
    assert gradcheck(function, (tensor(5), tensor(4, 2)))
    assert gradgradcheck(function, (tensor(5), tensor(4, 2)))


@pytest.mark.parametrize("reduce", ["amax", "amin"])
def test_the_first_of_equal_products_gets_the_gradient(reduce):
    pair = fb.sparse_csr_tensor([0, 2, 2], [0, 1], [1.0, 1.0], (2, 2))
    m = fb.full((2, 1), 2.0, requires_grad=True)
    result = fb.sparse.mm(pair, m, reduce)
    result.sum().backward()
    assert result.tolist() == [[2], [0]] and m.grad.tolist() == [[1], [0]]
    m = fb.tensor([[float("nan")], [2.0]], requires_grad=True)
    result = fb.sparse.mm(pair, m, reduce)
    result.sum().backward()
    assert result[0].isnan().item() and m.grad.tolist() == [[1], [0]]


def test_the_gradient_of_a_tensor_with_repeated_indices_has_each_index_once():
    s = sparse(fb.ones(5, dtype=fb.float64)).requires_grad_()
    fb.sparse.mm(s, fb.tensor(np.arange(8.0).reshape(4, 2))).sum().backward()
    assert s.grad.is_coalesced() and s.grad.indices().tolist() == [[0, 1, 2, 2], [1, 2, 0, 3]]
    assert s.grad.values().tolist() == [5, 9, 1, 13]
    s.grad = s.grad * 2
    assert s.grad.values().tolist() == [10, 18, 2, 26]
    s.grad = fb.sparse_coo_tensor([[1], [2]], [7.0], SIZE, dtype=fb.float64)
    assert s.grad.values().tolist() == [0, 7, 0, 0]
    with pytest.raises(RuntimeError, match="different size"):
        s.grad = fb.sparse_coo_tensor((3, 5), dtype=fb.float64)


@pytest.mark.parametrize("layout", ["coo", "csr"])
@pytest.mark.parametrize("name", ["scaled", "sin", "transposed", "product with itself", "softmax"])
def test_functions_with_sparse_inputs_and_outputs_pass_gradcheck(name, layout):
    s = sparse(tensor(5).detach(), layout).requires_grad_()
    assert gradcheck(UNARY[name], (s,))


def test_backward_from_a_sparse_tensor_accepts_dense_and_sparse_gradients():
    s = sparse(fb.ones(5)).requires_grad_()
    gradient = np.arange(12.0, dtype=np.float32).reshape(SIZE)
    for given in (fb.tensor(gradient), fb.tensor(gradient).to_sparse()):
        s.grad = None
        (s * 2).backward(given)
        assert s.grad.values().tolist() == [2, 12, 16, 22]
    (of_s,) = fb.autograd.grad(s * 3, s, fb.tensor(gradient))
    assert of_s.values().tolist() == [3, 18, 24, 33]
    dense = fb.ones(3, 4, requires_grad=True)
    fb.autograd.backward(dense * 2, fb.tensor(gradient).to_sparse())
    assert dense.grad.tolist() == (2 * gradient).tolist()
    with pytest.raises(RuntimeError, match="only for scalar outputs"):
        (s * 2).backward()
    with pytest.raises(RuntimeError, match="Mismatch in shape"):
        (s * 2).backward(fb.ones(3, 5))


def test_derivatives_of_broadcast_sparse_products_match_finite_differences():
    make = lambda v: fb.sparse_coo_tensor([[0, 2, 2]], v, (3, 1))  # noqa: E731
    assert gradcheck(lambda v, d: dense(make(v) * d), (tensor(3, 1), tensor(2, 3, 4)))
    assert gradcheck(lambda v, w: dense(sparse(v) * make(w).to_dense().to_sparse()), (tensor(5), tensor(3, 1)))


def test_derivatives_of_masked_sparse_reductions_match_finite_differences():
    mask = fb.tensor([[True, False, True, True], [False] * 4, [True] * 4])
    for reduce in (fb.masked.sum, fb.masked.prod, fb.masked.amax):
        assert gradcheck(lambda v, reduce=reduce: dense(reduce(sparse(v), 1, mask=mask)), (tensor(5),))


def test_an_input_that_is_scaled_by_0_has_a_gradient_of_0():
    start = fb.full((2,), float("inf"), requires_grad=True)
    result = fb.sparse.addmm(start, sparse(fb.ones(5)), fb.ones(4, 2), beta=0)
    result.sum().backward()
    assert result.tolist() == [[2, 2], [1, 1], [2, 2]] and start.grad.tolist() == [0, 0]


@pytest.mark.parametrize("layout", ["coo", "csr"])
def test_a_leaf_that_is_changed_under_no_grad_stays_a_leaf(layout):
    s = sparse(fb.ones(5), layout).requires_grad_()
    s.sum().backward()
    with fb.no_grad():
        s.mul_(2)
    assert s.requires_grad and s.is_leaf and s.grad.values().tolist() == [1] * 4
    s.data = s.detach() * 3
    assert s.requires_grad and s.is_leaf and s.to_dense().sum() == 30 and s.grad.values().tolist() == [1] * 4
    s.data = s.double().detach()
    assert s.dtype is fb.float64 and s.requires_grad and s.grad is None


def test_the_sparse_gradient_follows_changes_of_the_indices():
    s = fb.sparse_coo_tensor([[0, 2]], [1.0, 2.0], (3,)).coalesce().requires_grad_()
    (s * fb.tensor([5.0, 6.0, 7.0])).to_dense().sum().backward()
    with fb.no_grad():
        s.add_(fb.sparse_coo_tensor([[1]], [1.0], (3,)))
    assert s.indices().tolist() == [[0, 1, 2]] and s.grad.values().tolist() == [5, 0, 7]


def test_hooks_receive_sparse_gradients():
    s, received = sparse(fb.ones(5)).requires_grad_(), []
    product = s * 2
    handle = product.register_hook(received.append)
    product.register_hook(lambda gradient: gradient * 10)
    fb.sparse.sum(product).backward()
    assert received[0].is_sparse and received[0].values().tolist() == [1] * 4 and s.grad.values().tolist() == [20] * 4
    handle.remove()
    fb.sparse.sum(s * 2).backward()
    assert len(received) == 1


@pytest.mark.parametrize("layout", ["coo", "csr"])
def test_the_gradient_of_a_sparse_leaf_can_be_modified_in_place(layout):
    s = sparse(fb.ones(5), layout).requires_grad_()
    s.sum().backward()
    former = s.grad
    former.mul_(3)
    s.grad.add_(s.grad)
    assert s.grad.values().tolist() == [6] * 4
    s.sum().backward()
    assert s.grad.values().tolist() == [7] * 4
    s.grad.zero_()
    assert s.grad.to_dense().sum() == 0
    s.grad = None
    former.mul_(2)
    assert s.grad is None


def test_deepcopy_of_a_sparse_leaf_copies_its_gradient():
    s = fb.tensor([0.0, 2.0]).to_sparse().requires_grad_()
    (s.to_dense() * 3).sum().backward()
    copied = copy.deepcopy(s)
    assert copied.requires_grad and copied.grad.to_dense().tolist() == [0, 3]
    copied.grad.mul_(2)
    assert s.grad.to_dense().tolist() == [0, 3] and copied.grad.to_dense().tolist() == [0, 6]
