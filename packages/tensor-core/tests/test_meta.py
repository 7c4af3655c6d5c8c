"""Meta tensors, which have a shape and a dtype but no memory: results and errors of operators."""

import copy
import pickle

import numpy as np
import pytest

import flambeau as fb

F = fb.float32


def meta(*shape, dtype=F):
    return fb.empty(*shape, dtype=dtype, device="meta")


def labels(*shape):
    return meta(*shape, dtype=fb.int64)


# For each operator: shapes of the arguments, and the call. The CPU's result for ones gives the expected properties.
CALLS = {
    "add": ([(2, 3), (3,)], lambda x, y: x + y),
    "add a number": ([(2, 3)], lambda x: 2 * x - 1),
    "add a number without dimensions": ([(2, 3)], lambda x: x + fb.tensor(1.5, dtype=fb.float64)),
    "compare": ([(2, 3), (3,)], lambda x, y: x < y),
    "integer division": ([(2, 3), (3,)], lambda x, y: x.long() // y.long()),
    "unary": ([(2, 3)], lambda x: x.exp().relu().sigmoid()),
    "in place": ([(2, 3), (3,)], lambda x, y: x.add_(y).mul_(2).zero_()),
    "power": ([(2, 3)], lambda x: (x**2, x**0.5, 2**x)),
    "where": ([(2, 3), (3,)], lambda x, y: fb.where(x > y, x, y)),
    "complex": ([(2, 3)], lambda x: fb.complex(x, x).abs()),
    "to": ([(2, 3)], lambda x: (x.half(), x.to(fb.int8), x.double().t().contiguous())),
    "clone": ([(2, 3)], lambda x: (x.clone(), x.t().clone(memory_format=fb.contiguous_format))),
    "views": ([(2, 3, 4)], lambda x: (x[0], x[:, 1:], x.view(6, 4), x.permute(2, 0, 1), x.flatten(), x[..., None])),
    "reshape": ([(2, 3, 4)], lambda x: x.transpose(0, 1).reshape(-1)),
    "split": ([(6, 3)], lambda x: (*x.split(4), *x.chunk(3), *x.unbind(1))),
    "index": ([(4, 3)], lambda x: (x[x.argmax(0)], x.index_select(0, x.argmax(0)), x.gather(0, x.argmax(0)[None]))),
    "set": ([(4, 3), (3,)], lambda x, y: x.__setitem__(0, y) or x),
    "scatter": ([(4, 3)], lambda x: (x.scatter(0, x.argmax(0)[None], 2.0), x.index_add(0, x.argmax(0), x[:3]))),
    "embedding": ([(5, 3), (2, 4)], lambda x, y: fb.embedding(x, y.long())),
    "cat": ([(2, 3), (1, 3)], lambda x, y: (fb.cat([x, y]), fb.stack([x, x], 1), fb.hstack([x, x]))),
    "pad": ([(2, 3, 4)], lambda x: (fb.constant_pad_nd(x, (1, 2)), fb._core.nn_pad(x, (1, 1), "reflect"))),
    "rearrange": ([(2, 3)], lambda x: (x.flip(0), x.roll(1), x.repeat(2, 2), x.repeat_interleave(3, 1), x.tril())),
    "sum": ([(2, 3, 4)], lambda x: (x.sum(), x.sum(1), x.mean((0, 2), keepdim=True), x.prod(1), x.logsumexp(1))),
    "extremes": ([(2, 3)], lambda x: (x.max(), *x.max(1), x.amin(0), x.argmax(), x.any(), (x > 0).all(1))),
    "variance": ([(200, 3)], lambda x: (x.var(), x.std(0), *fb.var_mean(x, 1))),
    "norm": ([(2, 3)], lambda x: (x.norm(), x.norm(1, dim=1), fb.linalg.vector_norm(x, 3))),
    "softmax": ([(2, 3, 40)], lambda x: (x.softmax(-1), x.log_softmax(1))),
    "cumulative": ([(20, 3)], lambda x: (x.cumsum(0), x.cumprod(1), *x.cummax(0), x.logcumsumexp(0))),
    "order": (
        [(20, 3)],
        lambda x: (*x.sort(0), *x.topk(2, 0), x.argsort(), *x.median(0), *x.kthvalue(2, 0), x.median()),
    ),
    "products": ([(2, 3), (3, 4)], lambda x, y: (x @ y, fb.mm(x, y), x @ y[:, 0], fb.einsum("ij,jk->ki", x, y))),
    "batched": ([(5, 2, 3), (3, 4)], lambda x, y: (x @ y, fb.bmm(x, x.transpose(1, 2)), fb.tensordot(x, y, 1))),
    "addmm": ([(4,), (2, 3), (3, 4)], lambda b, x, y: fb.addmm(b, x, y)),
    "distances": ([(5, 3), (4, 3)], lambda x, y: (fb.pdist(x), fb.cdist(x, y), fb.cdist(x, y, p=1))),
    "dot": ([(3,), (3,)], lambda x, y: (x.dot(y), fb.outer(x, y), fb.vdot(x, y))),
    "linear": ([(5, 2, 3), (4, 3), (4,)], fb.linear),
    "conv1d": ([(2, 4, 9), (6, 2, 3), (6,)], lambda x, w, b: fb.conv1d(x, w, b, stride=2, padding=1, groups=2)),
    "conv2d": ([(2, 4, 9, 9), (6, 4, 3, 3)], lambda x, w: fb.conv2d(x, w, padding="same")),
    "conv3d": ([(4, 5, 5, 5), (6, 4, 3, 3, 3)], lambda x, w: fb.conv3d(x, w)),
    "conv_transpose2d": ([(2, 4, 5, 5), (4, 3, 3, 3)], lambda x, w: fb.conv_transpose2d(x, w, stride=2)),
    "max_pool2d": ([(2, 4, 9, 9)], lambda x: fb.max_pool2d(x, 3, 2, return_indices=True)),
    "avg_pool": (
        [(2, 4, 9)],
        lambda x: (fb.avg_pool1d(x, 2), fb.adaptive_avg_pool1d(x, 3), fb.adaptive_avg_pool1d(x, 1)),
    ),
    "interpolate": ([(2, 4, 9, 9)], lambda x: fb._core.nn_interpolate(x, (4, 18), mode="bilinear")),
    "unfold": ([(2, 4, 9, 9)], lambda x: fb._core._unfold_windows(x, 3)),
    "batch_norm": ([(6, 3, 4), (3,), (3,)], lambda x, m, v: fb.batch_norm(x, None, None, m, v, training=True)),
    "batch_norm, evaluated": ([(6, 3), (3,), (3,)], lambda x, m, v: fb.batch_norm(x, None, None, m, v)),
    "layer_norm": ([(2, 3, 4), (4,)], lambda x, w: (fb.layer_norm(x, (4,), w), fb.rms_norm(x, (4,), w))),
    "group_norm": ([(2, 6, 4)], lambda x: fb.group_norm(x, 2)),
    "attention": ([(2, 4, 5, 8)], lambda x: fb._core._scaled_dot_product_attention(x, x, x, is_causal=True)),
    "dropout": ([(2, 3)], lambda x: fb.dropout(x, 0.5)),
    "random in place": ([(2, 3)], lambda x: (x.normal_(), x.uniform_(), x.t().exponential_(), x.bernoulli_(0.5))),
    "cross_entropy": ([(5, 3), (5,)], lambda x, y: fb.cross_entropy(x, y.long() * 0)),
    "nll_loss": ([(5, 3), (5,)], lambda x, y: fb.nll_loss(x, y.long() * 0, reduction="none")),
    "mse_loss": ([(5, 3), (5, 3)], fb.mse_loss),
    "like": (
        [(2, 3)],
        lambda x: (fb.zeros_like(x), fb.randn_like(x), x.new_ones(4), fb.full_like(x, 2, dtype=fb.int8)),
    ),
    "fft": ([(2, 7)], lambda x: (fb.fft.fft(x), fb.fft.rfft2(x), fb.fft.irfft(fb.fft.rfft(x)), fb.fft.fft(x, 11))),
    "cross": ([(2, 3), (2, 3)], lambda x, y: (fb.linalg.cross(x, y), fb.searchsorted(x, y))),
    "lstm_cell": ([(2, 3), (2, 4), (16, 3), (16, 4)], lambda x, h, v, w: fb.lstm_cell(x, (h, h), v, w)),
}


def results(value):
    return [value] if isinstance(value, fb.Tensor) else [r for v in value for r in results(v)]


@pytest.mark.parametrize("name", CALLS)
def test_operators_of_meta_tensors_give_shapes_and_dtypes(name):
    shapes, call = CALLS[name]
    expected = results(call(*(fb.ones(shape) for shape in shapes)))
    before = fb.memory_allocated()
    got = results(call(*(meta(shape) for shape in shapes)))
    assert [(r.shape, r.dtype, r.stride()) for r in got] == [(r.shape, r.dtype, r.stride()) for r in expected]
    assert all(r.is_meta for r in got) and fb.memory_allocated() - before < 20_000


def test_resizing_a_meta_tensor_takes_constant_time():
    x, huge = meta(1, 2, 2 * 10**8), (1, 2, 4 * 10**8)  # a CPU tensor would take minutes
    assert fb._core.nn_interpolate(x, scale_factor=2.0).shape == huge
    assert fb._core.nn_interpolate(x, huge[2], mode="linear").shape == huge
    assert fb.adaptive_avg_pool1d(x, huge[2]).shape == huge


def test_cached_plans_of_meta_tensors_are_not_used_for_other_tensors():
    fb._core.nn_interpolate(meta(1, 1, 3), (6,))
    fb.adaptive_avg_pool1d(meta(1, 1, 3), 2)
    x = fb.tensor([[[1.0, 2.0, 3.0]]])
    assert fb._core.nn_interpolate(x, (6,)).tolist() == [[[1, 1, 2, 2, 3, 3]]]
    assert fb.adaptive_avg_pool1d(x, 2).tolist() == [[[1.5, 2.5]]]


def test_meta_tensors_allocate_no_memory():
    x = meta(1 << 20, 1 << 20)
    before = fb.memory_allocated()
    y = ((x @ x).relu() + 1).softmax(-1)
    assert y.shape == (1 << 20, 1 << 20) and y.untyped_storage().nbytes() == 4 << 40
    assert fb.memory_allocated() - before < 10_000


CONSTRUCTORS = {
    "empty": lambda **o: fb.empty(2, 3, **o),
    "zeros": lambda **o: fb.zeros(2, 3, **o),
    "ones": lambda **o: fb.ones(2, 3, dtype=fb.int16, **o),
    "full": lambda **o: fb.full((2, 3), 7, **o),
    "eye": lambda **o: fb.eye(3, **o),
    "arange": lambda **o: fb.arange(1, 9, 2, **o),
    "linspace": lambda **o: fb.linspace(0, 1, 5, **o),
    "rand": lambda **o: fb.rand(2, 3, **o),
    "randn": lambda **o: fb.randn(2, 3, **o),
    "randint": lambda **o: fb.randint(0, 9, (2, 3), **o),
    "randperm": lambda **o: fb.randperm(7, **o),
    "tensor": lambda **o: fb.tensor([[1.0, 2.0]], **o),
    "tensor of one": lambda **o: fb.tensor(3, **o),
    "as_tensor": lambda **o: fb.as_tensor([[1, 2]], **o),
    "asarray": lambda **o: fb.asarray(np.ones((2, 3)), **o),
    "empty_strided": lambda **o: fb.empty_strided((2, 3), (1, 2), **o),
    "tril_indices": lambda **o: fb.tril_indices(3, 3, **o),
    "hann_window": lambda **o: fb.hann_window(5, **o),
    "scalar_tensor": lambda **o: fb.scalar_tensor(2.0, **o),
}


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_factories_create_meta_tensors(name):
    make = CONSTRUCTORS[name]
    expected = make()
    with fb.device("meta"):
        by_context = make()
        with fb.device("cpu"):
            assert make().device == fb.device("cpu")
        assert make(device="cpu").device == fb.device("cpu")
    for made in (make(device="meta"), make(device=fb.device("meta")), by_context):
        assert made.is_meta and (made.shape, made.dtype, made.stride()) == (
            expected.shape,
            expected.dtype,
            expected.stride(),
        )
    assert not make().is_meta


def test_meta_can_be_the_default_device():
    assert fb.get_default_device() == fb.device("cpu")
    fb.set_default_device("meta")
    try:
        assert fb.get_default_device() == fb.device("meta") and fb.zeros(2).is_meta
        with fb.device("cpu"):
            assert fb.get_default_device() == fb.device("cpu")
        assert fb.from_numpy(np.ones(2)).is_cpu
    finally:
        fb.set_default_device(None)
    assert fb.zeros(2).is_cpu
    x = fb.ones(2)
    with fb.device("meta"):
        assert fb.zeros_like(x).is_cpu and x.new_zeros(3).is_cpu and (x + 1).is_cpu  # these use the device of x
    with pytest.raises(RuntimeError), fb.device("meta"):
        x.view(3)
    assert fb.zeros(2).is_cpu


def test_meta_tensors_have_a_shape_and_strides_but_no_memory():
    x = meta(2, 3)
    assert x.device == fb.device("meta") and x.is_meta and not x.is_cpu and x.data_ptr() == 0
    assert repr(x) == "tensor(..., device='meta', size=(2, 3))"
    assert repr(labels(2)) == "tensor(..., device='meta', size=(2,), dtype=flambeau.int64)"
    assert x.numel() == 6 and x.is_contiguous() and x.element_size() == 4 and x.untyped_storage().nbytes() == 24
    assert x.to("meta") is x and fb.ones(2, 3).to("meta").shape == (2, 3)
    for other in (copy.deepcopy(x), pickle.loads(pickle.dumps(x)), copy.copy(x)):
        assert other.is_meta and other.shape == x.shape and other.stride() == x.stride()
    assert fb.empty_like(x, device="cpu").is_cpu and fb.empty_like(fb.ones(2), device="meta").is_meta
    assert fb.ones(2).to(x).is_meta and fb.ones(2, dtype=fb.int8).type_as(x).dtype is F


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: x[0, 0].item(), RuntimeError, "meta tensors"),
        (lambda x: x.item(), RuntimeError, "6 elements"),
        (lambda x: float(x.sum()), RuntimeError, "meta tensors"),
        (lambda x: bool(x[0, 0]), RuntimeError, "meta tensors"),
        (lambda x: int(x[0, 0]), RuntimeError, "meta tensors"),
        (lambda x: x.tolist(), NotImplementedError, "no data"),
        (lambda x: x.equal(x), NotImplementedError, "no elements"),
        (lambda x: x.cpu(), NotImplementedError, "no data"),
        (lambda x: x.to("cpu", fb.float64), NotImplementedError, "no data"),
        (lambda x: fb.ones(2, 3).copy_(x), NotImplementedError, "no data"),
        (lambda x: fb.ones(2, 3).__setitem__(0, x[0]), NotImplementedError, "no data"),
        (lambda x: x.numpy(), TypeError, "meta"),
        (lambda x: np.asarray(x), TypeError, "meta"),
        (lambda x: memoryview(x), BufferError, "meta"),
        (lambda x: x.__dlpack__(), BufferError, "meta"),
        (lambda x: x.nonzero(), NotImplementedError, "nonzero"),
        (lambda x: x[x > 0], NotImplementedError, "meta"),
        (lambda x: x.masked_select(x > 0), NotImplementedError, "masked_select"),
        (lambda x: x.unique(), NotImplementedError, "unique"),
        (lambda x: x.allclose(x), NotImplementedError, "allclose"),
        (lambda x: fb.equal(x, x.clone()), NotImplementedError, "equal"),
        (lambda x: x + fb.ones(2, 3), RuntimeError, "device cpu is not on the expected device meta"),
        (lambda x: fb.ones(2, 3).add_(x), RuntimeError, "device meta|device cpu"),
        (lambda x: fb.cat([fb.ones(2, 3), x]), RuntimeError, "device cpu"),
        (lambda x: fb.linear(fb.ones(2, 3), x), RuntimeError, "device cpu"),
        (lambda x: fb.mm(x, fb.ones(3, 2)), RuntimeError, "device cpu"),
        (lambda x: fb.Generator("meta"), NotImplementedError, "meta"),
        (lambda x: fb.mm(x, x), RuntimeError, "2x3"),
    ],
)
def test_operations_that_read_elements_of_meta_tensors_raise(call, error, message):
    x = meta(2, 3)
    with pytest.raises(error, match=message):
        call(x)
    assert fb.ones(2).add(1).sum().item() == 4  # the settings are restored


def test_a_copy_into_a_meta_tensor_does_nothing():
    x = meta(2, 3)
    assert x.copy_(fb.ones(2, 3)) is x and x.is_meta
    with pytest.raises(RuntimeError, match="broadcast"):
        x.copy_(fb.ones(4))
