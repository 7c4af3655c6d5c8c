"""vmap, compared with a loop over the batch: dimensions, randomness, nesting and errors."""

import gc
import pickle
import threading
import weakref

import pytest

import flambeau as fb
from flambeau.func import grad, hessian, jacrev, vjp, vmap


def looped(function, *batches):
    """Return the stacked results of a loop over the batches."""
    return fb.stack([function(*elements) for elements in zip(*batches, strict=True)])


@pytest.fixture(autouse=True)
def seed():
    fb.manual_seed(0)


def test_the_function_in_vmap_receives_one_example():
    def seen(x):
        assert isinstance(x, fb.Tensor)
        assert (x.shape, x.ndim, x.dim(), x.size(0), len(x), x.numel()) == ((3, 2), 2, 2, 3, 3, 6)
        assert (x.dtype, x.device.type, x.is_floating_point(), x.nbytes) == (fb.float64, "cpu", True, 48)
        assert [row.shape for row in x] == [(2,)] * 3
        assert repr(x).startswith("BatchedTensor(lvl=1, bdim=0, value=\n    tensor(")
        return x.T

    assert vmap(seen)(fb.ones(4, 3, 2, dtype=fb.float64)).shape == (4, 2, 3)


@pytest.mark.parametrize("in_dim", [0, 1, 2, -1, -2, -3])
@pytest.mark.parametrize("out_dim", [0, 1, -1])
def test_in_dims_and_out_dims_select_the_batch_dimension(in_dim, out_dim):
    x = fb.randn(3, 4, 5)
    expected = fb.stack([(2 * t).sum(0) for t in x.unbind(in_dim)], out_dim)
    assert fb.equal(vmap(lambda t: (2 * t).sum(0), in_dim, out_dim)(x), expected)


def test_vmap_accepts_containers_and_unmapped_arguments():
    def function(pair, named, number, *, scale):
        return {"sum": pair[0] + pair[1] * number, "scaled": (named["x"] * scale,)}

    a, b, x, scale = fb.randn(3), fb.randn(2), fb.randn(2, 3), fb.randn(2)
    result = vmap(function, in_dims=((0, None), {"x": 1}, None), out_dims={"sum": -1, "scaled": 0})(
        (a, b), {"x": x}, 3, scale=scale
    )
    assert fb.equal(result["sum"], fb.stack([v + b * 3 for v in a], 1))
    assert fb.equal(result["scaled"][0], x.T * scale)  # keyword arguments are the same for all examples


def test_vmap_expands_a_result_that_does_not_depend_on_the_batch():
    x, w = fb.randn(3, 2), fb.randn(2)
    mapped, same = vmap(lambda t: (t * 2, w + 1), out_dims=(0, None))(x)
    assert fb.equal(mapped, x * 2)
    assert fb.equal(same, w + 1)
    assert fb.equal(vmap(lambda t: w)(x), w.expand(3, 2))


@pytest.mark.parametrize("chunk_size", [1, 2, 5])
def test_vmap_with_chunks_draws_the_same_random_numbers(chunk_size):
    fb.manual_seed(0)
    numbers = vmap(lambda t: t + fb.rand(()), randomness="same", chunk_size=chunk_size)(fb.zeros(5))
    assert len(set(numbers.tolist())) == 1


def test_results_without_a_batch_may_be_of_any_type():
    assert vmap(lambda t: "text", out_dims=None)(fb.ones(2)) == "text"
    assert vmap(lambda t: None, out_dims=None)(fb.ones(2)) is None
    double, count = vmap(lambda t: (2 * t, 3), out_dims=(0, None), chunk_size=1)(fb.ones(2))
    assert double.tolist() == [2, 2] and count == 3


@pytest.mark.parametrize("chunk_size", [1, 2, 3, 7, 100])
def test_vmap_with_a_chunk_size_gives_the_same_result(chunk_size):
    sizes = []

    def function(t):
        sizes.append(t.value.shape[0])
        return t.sum(), t * 2

    x = fb.randn(4, 7)
    total, double = vmap(function, in_dims=1, out_dims=(0, 1), chunk_size=chunk_size)(x)
    assert fb.allclose(total, x.sum(0))
    assert fb.equal(double, x * 2)
    assert max(sizes) == min(chunk_size, 7)
    assert sum(sizes) == 7


def test_vmap_can_be_nested():
    x, y = fb.randn(3, 5), fb.randn(4, 5)
    distances = vmap(lambda a: vmap(lambda b: (a - b).norm())(y))(x)
    assert fb.allclose(distances, (x[:, None] - y).norm(dim=-1))
    assert vmap(vmap(vmap(fb.sin)))(fb.ones(2, 3, 4)).shape == (2, 3, 4)
    assert fb.equal(vmap(vmap(lambda t: t * 2, 1, 1), 2, 2)(fb.ones(2, 3, 4)), fb.full((2, 3, 4), 2.0))


def test_derivatives_through_vmap_match_finite_differences():
    x, w = fb.randn(4, 3, dtype=fb.float64), fb.randn(3, dtype=fb.float64)
    x.requires_grad_()
    w.requires_grad_()
    assert fb.autograd.gradcheck(lambda x, w: vmap(lambda row: (row * w).tanh().sum())(x), (x, w))
    assert fb.autograd.gradgradcheck(lambda x, w: vmap(lambda row: (row * w).tanh().sum())(x), (x, w))


def test_vmap_of_grad_computes_per_sample_gradients():
    def loss(weight, x, y):
        return ((weight @ x).tanh() - y).square().sum()

    weight, x, y = fb.randn(2, 3), fb.randn(5, 3), fb.randn(5, 2)
    per_sample = vmap(grad(loss), in_dims=(None, 0, 0))(weight, x, y)
    assert per_sample.shape == (5, 2, 3)
    assert fb.allclose(per_sample, looped(lambda a, b: grad(loss)(weight, a, b), x, y), atol=1e-6)


def test_function_transforms_inside_vmap_equal_a_loop():
    def function(t):
        return (t**3).sum() * t

    x = fb.randn(4, 3, dtype=fb.float64)
    assert fb.allclose(vmap(jacrev(function))(x), looped(jacrev(function), x))
    second = hessian(lambda t: (t**3).sum())
    assert fb.allclose(vmap(second)(x), looped(second, x))
    product = vmap(lambda t: vjp(function, t)[1](t)[0])(x)
    assert fb.allclose(product, looped(lambda t: vjp(function, t)[1](t)[0], x))
    nested = vmap(vmap(grad(lambda a, b: (a * b).sin().sum()), (None, 0)), (0, None))(x, x)
    assert fb.allclose(nested, looped(lambda a: looped(lambda b: grad(lambda a, b: (a * b).sin().sum())(a, b), x), x))


def test_vmap_maps_over_the_cotangents_of_a_vjp_recorded_outside():
    _, product = vjp(fb.sin, fb.zeros(3))
    assert fb.equal(vmap(product)(fb.eye(3))[0], fb.eye(3))


def test_grad_of_vmap_of_grad_is_correct():
    x = fb.randn(4, 3, dtype=fb.float64)

    def outer(w):
        inner = vmap(grad(lambda row: (row * w).sin().sum()))(x)
        return inner.square().sum()

    w = fb.randn(3, dtype=fb.float64)
    expected = grad(lambda w: ((x * w).cos() * w).square().sum())(w)
    assert fb.allclose(grad(outer)(w), expected)


def test_in_place_operators_in_vmap_change_the_batched_tensor():
    def function(t):
        copy = t.clone()
        copy.add_(1).mul_(t)
        copy[0] = 5
        copy[1:].sub_(t[1:])
        copy.clamp_(max=t.max())
        return copy

    x = fb.randn(3, 4)
    assert fb.equal(vmap(function)(x), looped(function, x))


def test_writing_a_batch_into_an_unbatched_tensor_in_vmap_raises():
    target = fb.zeros(2)
    with pytest.raises(RuntimeError, match="inplace arithmetic"):
        vmap(lambda t: target.add_(t))(fb.ones(3, 2))
    with pytest.raises(RuntimeError, match="inplace arithmetic"):
        vmap(lambda t: target.copy_(t))(fb.ones(3, 2))
    assert fb.equal(target, fb.zeros(2))


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda t: t.item(), RuntimeError, "item"),
        (lambda t: fb.tensor(float(t)), RuntimeError, "__float__"),
        (lambda t: t if t > 0 else -t, RuntimeError, "control flow"),
        (lambda t: t.nonzero(), RuntimeError, "shape depends"),
        (lambda t: t[t > 0], RuntimeError, "shape depends"),
        (lambda t: fb.masked_select(t, t > 0), RuntimeError, "shape depends"),
        (lambda t: fb.unique(t), RuntimeError, "shape depends"),
        (lambda t: t.numpy(), (RuntimeError, BufferError), "batch"),
        (lambda t: memoryview(t), BufferError, "inside vmap"),
        (lambda t: fb.tensor(t), RuntimeError, "memory"),
        (lambda t: fb.tensor([t, t]), RuntimeError, "memory"),
        (lambda t: t.data_ptr(), RuntimeError, "memory"),
        (lambda t: t.requires_grad_(), RuntimeError, "func.grad"),
        (lambda t: t.backward(), RuntimeError, "func.grad"),
        (lambda t: fb.add(t, 1, out=fb.empty(())), RuntimeError, "out="),
        (lambda t: fb.rand(2) + t, RuntimeError, "randomness"),
        (lambda t: pickle.dumps(t), RuntimeError, "batch"),
        (lambda t: fb.tensordot(t.expand(2), fb.ones(2), 2**40), RuntimeError, "dims < ndim_a or ndim_b"),
        (lambda t: fb.tensordot(t.expand(2), fb.ones(2), ([4], [0])), IndexError, "out of range"),
        (lambda t: t.expand(2, 3).renorm(2, 5, 1.0), IndexError, "out of range"),
        (lambda t: t.expand(2).repeat_interleave(2, 3), IndexError, "out of range"),
        (lambda t: t.expand(2).repeat_interleave(-2, 0), RuntimeError, "non-negative"),
        (lambda t: t.expand(2).take_along_dim(fb.tensor([0]), 2), IndexError, "out of range"),
        (lambda t: t.expand(3).hsplit(2), RuntimeError, "not divisible"),
        (lambda t: t.expand(3).chunk(fb.ones(2, 2, dtype=fb.int64)), TypeError, "chunks"),
    ],
)
def test_unsupported_calls_in_a_mapped_function_raise(function, error, message):
    with pytest.raises(error, match=message):
        vmap(function)(fb.ones(3))


def test_using_a_batched_tensor_outside_vmap_raises():
    kept = []
    vmap(lambda t: kept.append(t) or t)(fb.ones(3, 2))
    (escaped,) = kept
    for use in (
        lambda t: t + 1,
        lambda t: -t,
        lambda t: t.sum(),
        lambda t: t.T,
        lambda t: fb.cat([t, t]),
        lambda t: t[0],
    ):
        with pytest.raises(RuntimeError, match="after vmap had ended"):
            use(escaped)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vmap(fb.sin, in_dims="0")(fb.ones(3)), "expected `in_dims` to be int or a"),
        (lambda: vmap(fb.sin)(), "got no inputs"),
        (lambda: vmap(fb.add, in_dims=(0,))(fb.ones(3), fb.ones(3)), "in_dims is not compatible with the structure"),
        (lambda: vmap(fb.add, in_dims=(0, 0))(fb.ones(3), 2), "cannot vmap over non-Tensor arguments"),
        (lambda: vmap(fb.add, in_dims=(0, 0.5))(fb.ones(3), fb.ones(3)), "must be either an integer dimension or None"),
        (lambda: vmap(fb.sin, in_dims=1)(fb.ones(3)), "expected in_dim to satisfy -1 <= in_dim < 1"),
        (lambda: vmap(fb.add)(fb.ones(3), fb.ones(4)), "same size in the mapped dimension, got sizes"),
        (lambda: vmap(fb.sin, in_dims=(None,))(fb.ones(3)), "at least one Tensor to vmap over"),
        (lambda: vmap(lambda t: 1)(fb.ones(3)), "must only return Tensors, got type"),
        (lambda: vmap(fb.sin, out_dims=None)(fb.ones(3)), "can not return a BatchedTensor when out_dim is None"),
        (lambda: vmap(fb.sin, out_dims=0.5)(fb.ones(3)), "`out_dims` must be an int, None or a python collection"),
        (lambda: vmap(fb.sin, out_dims=(0, 0))(fb.ones(3)), "out_dims is not compatible with the structure"),
        (lambda: vmap(fb.sin, chunk_size=0), "chunk_size should be None or greater than 0"),
    ],
)
def test_vmap_rejects_invalid_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_vmap_rejects_unknown_values_of_randomness():
    with pytest.raises(RuntimeError, match="Only allowed values for randomness"):
        vmap(fb.sin, randomness="none")


def test_an_exception_in_vmap_restores_the_state():
    with pytest.raises(ZeroDivisionError):
        vmap(lambda t: 1 / 0)(fb.ones(3))
    assert fb.rand(2).shape == (2,)
    assert fb.equal(vmap(lambda t: t + 1)(fb.ones(3)), fb.full((3,), 2.0))


def test_vmap_does_not_change_dtypes():
    zero_dim, vector = fb.ones(3, dtype=fb.float64), fb.ones(3, 2)
    assert vmap(lambda a, b: a * b)(zero_dim, vector).dtype is fb.float32
    assert vmap(lambda a: a * fb.ones((), dtype=fb.float64))(fb.ones(3)).dtype is fb.float64
    assert vmap(lambda a: a / 2)(fb.ones(3, dtype=fb.int64)).dtype is fb.float32
    assert vmap(lambda a, b: fb.result_type(a, b) is fb.float32 and a + b)(zero_dim, vector).dtype is fb.float32


def test_threads_can_run_vmap_at_the_same_time():
    def work(k):
        x = fb.full((4, 3), float(k))
        for _ in range(50):
            results[k] = vmap(lambda t: vmap(lambda s: s * k)(t).sum())(x)

    results = {}
    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for k in range(4):
        assert fb.equal(results[k], fb.full((4,), 3.0 * k * k))


def test_vmap_does_not_keep_the_batch_alive():
    x = fb.ones(3, 2)
    kept = []
    vmap(lambda t: kept.append(weakref.ref(t)) or (t * 2).sum())(x)
    gc.collect()
    assert kept[0]() is None


def test_vmap_of_an_operator_without_a_rule_calls_it_for_each_example():
    from flambeau.func import _fallback

    _fallback.warned.clear()
    x = fb.randn(3, 10)
    with pytest.warns(UserWarning, match="no batching rule for histc"):
        result = vmap(lambda t: fb.histc(t, 4))(x)
    assert fb.equal(result, looped(lambda t: fb.histc(t, 4), x))


MATRICES = fb.randn(4, 3, 3, generator=fb.Generator().manual_seed(7))
COLUMNS, VECTORS = MATRICES[:, :, :2], MATRICES[:, 0]


@pytest.mark.parametrize(
    ("function", "batches"),
    [
        (lambda a: fb.linalg.cholesky(a @ a.mT + fb.eye(3)), (MATRICES,)),
        (lambda a: fb.linalg.eigvalsh(a), (MATRICES,)),
        (lambda a: fb.linalg.svdvals(a), (MATRICES,)),
        (lambda a: fb.linalg.matrix_power(a, 3), (MATRICES,)),
        (fb.linalg.inv, (MATRICES,)),
        (fb.linalg.solve, (MATRICES, COLUMNS)),
        (fb.linalg.solve, (MATRICES, VECTORS)),
        (lambda b: fb.linalg.solve(MATRICES[0], b), (VECTORS,)),
        (lambda a: fb.linalg.solve_triangular(a, COLUMNS[0], upper=True), (MATRICES,)),
        (lambda a, b: fb.lu_solve(b, *fb.linalg.lu_factor(a)), (MATRICES, COLUMNS)),
        (lambda a, b: fb.ormqr(*fb.geqrf(a), b), (MATRICES, COLUMNS)),
        (lambda a: fb.orgqr(*fb.geqrf(a)), (MATRICES,)),
        (lambda a: fb.tensordot(a, MATRICES[0]), (MATRICES,)),
        (fb.inner, (MATRICES, VECTORS)),
        (fb.kron, (MATRICES, COLUMNS)),
        (fb.cdist, (MATRICES, MATRICES.flip(0))),
        (fb.cosine_similarity, (MATRICES, MATRICES.flip(0))),
    ],
)
def test_vmap_of_linear_algebra_functions_matches_a_loop(function, batches):
    assert fb.allclose(vmap(function)(*batches), looped(function, *batches), rtol=1e-4, atol=1e-4)


def test_vmap_maps_over_autograd_grad_of_an_outer_graph():
    x = fb.arange(3.0, requires_grad=True)
    y = x**2
    rows = fb.vmap(lambda v: fb.autograd.grad(y, x, v, retain_graph=True)[0])(fb.eye(3))
    assert fb.equal(rows, fb.diag(2 * x))
    with pytest.raises(NotImplementedError, match=r"use func.grad or func.vjp"):
        fb.vmap(lambda v: fb.autograd.grad((x * v).sum(), x, v)[0])(fb.ones(3))


def test_attributes_of_a_batched_tensor_in_vmap_are_those_of_the_value():
    seen = []

    def record(x):
        seen.append((x.is_cuda, x.output_nr, x._grad, x.type()))
        return x.type(fb.float64)

    x = fb.ones(2, 3)
    assert vmap(record)(x).dtype == fb.float64
    assert seen == [(x.is_cuda, 0, None, x.type())]
