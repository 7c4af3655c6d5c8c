"""Programs, compared with the traced functions: every layer, many operators, gradients."""

import functools

import numpy as np
import pytest
from layer_rows import LAYERS

import flambeau as fb
from flambeau import _core, fx, nn
from flambeau._tracing._calls import DROPPED, signature
from flambeau._tracing._structure import leaves
from flambeau.jit._graph import graph_of
from flambeau.jit._operators import NATIVE
from flambeau.jit._replay import OWN

F = nn.functional


def same(mine, other):
    """Assert that two results contain equal tensors with the same dtypes, shapes and ``requires_grad``."""
    mine, other = leaves(mine, fb.Tensor), leaves(other, fb.Tensor)
    assert len(mine) == len(other)
    for a, b in zip(mine, other, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape and a.requires_grad == b.requires_grad
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.text)
def test_every_layer_can_be_traced(layer):
    fb.manual_seed(0)
    module = layer.make().eval()
    example, other = fb.randn(layer.shape), fb.randn(layer.shape, requires_grad=True)
    program = fb.jit.trace(module, example)
    fb.manual_seed(1)
    expected = module(other)
    fb.manual_seed(1)
    made = program(other)
    same(made, expected)
    if leaves(expected, fb.Tensor)[0].requires_grad:
        of_module, of_program = (fb.autograd.grad(r.sum(), other, allow_unused=True) for r in (expected, made))
        same(of_program, of_module)


X, Y, IMAGE, INDEX = (3, 4), (4, 5), (2, 3, 6, 6), fb.tensor([2, 0, 1, 1])
# Functions of a row of a tensor.
MAPPED = [
    *(lambda r: r.sum(), lambda r: r.mean(0, keepdim=True) * r, lambda r: r.prod(-1), lambda r: (r > 0).any()),
    *(lambda r: r.amax(), lambda r: r.roll(1, 0), lambda r: (r > 0).count_nonzero(), lambda r: r.max()),
]
# Functions, one per line, with the shapes of their tensors.
FUNCTIONS = {
    "arithmetic": (lambda x: (2 - x) / (x * x + 1) ** 0.5 - x.add(1, alpha=3) + 5 // (x.abs() + 1) % 2, X),
    "comparisons": (lambda x: ((x > 0) & (x <= 1)) | ~(x == 0) ^ x.isnan(), X),
    "where": (lambda x: fb.where(x > 0, x, 0.5) + x.where(x < 1, fb.zeros(())), X),
    "clamp": (lambda x: x.clamp(-1) + x.clamp(max=1) + x.clip(x * 0 - 1, x * 0 + 1), X),
    "keys": (lambda x: (x[0], x[:, 1:3], x[..., -1], x[None, 1], x[::2, ::3], x[[0, 2]], x[1, INDEX]), X),
    "masks": (lambda x: (x[x > 0].sum(), x[:, fb.tensor([True, False, True, False])]), X),
    "assignment": (lambda x: _assigned(x.clone()), X),
    "in place": (lambda x: x.clone().mul_(2).add_(1, alpha=2).relu_().clamp_(max=3).t_().contiguous(), X),
    "views in place": (lambda x: _through_views(x.clone()), X),
    "out": (lambda x: fb.add(x, 1, out=fb.empty(0)), X),
    "reductions": (lambda x: (x.sum(), x.mean(0), x.var(1), x.std(), x.amax((0, 1)), x.prod(1), x.argmax(1)), X),
    "extremes": (lambda x: (x.max(), x.max(1), fb.max(x, x * 2), x.min(0).values, x.median(), x.aminmax(dim=1)), X),
    "order": (lambda x: (x.sort(1, descending=True), x.topk(2), x.argsort(), x.kthvalue(2), x.cumsum(1)), X),
    "unique": (lambda x: x.round().unique(return_counts=True), X),
    "shapes": (lambda x: (x.view(2, 6), x.reshape(-1), x.permute(1, 0), x.flatten(), x.unsqueeze(1).squeeze(1)), X),
    "more shapes": (
        lambda x: (x.expand(2, 3, 4), x.movedim(0, 1), x.unflatten(1, (2, 2)), x.T, x.mT, x.swapaxes(0, 1)),
        X,
    ),
    "joined": (
        lambda x: (fb.cat([x, x], 1), fb.stack([x, x]), fb.hstack([x, x]), fb.vstack((x, x)), x.repeat(2, 1)),
        X,
    ),
    "cut": (lambda x: (*x.split(2, 1), *x.chunk(2, 1), *x.unbind(0), *x.split([1, 2], 0), *x.tensor_split(3, 1)), X),
    "turned": (lambda x: (x.flip(0), x.roll(1, 1), x.rot90(), x.tril(), x.triu(1), x.diagonal(), x.diag_embed()), X),
    "conversions": (
        lambda x: (x.double(), x.to(fb.float16), x.long(), x.bool(), x.type_as(x.int()), x.to(x.double())),
        X,
    ),
    "fresh": (lambda x: x.new_zeros(2) + fb.ones(2) + fb.full((2,), 3.0) + fb.arange(2) + fb.zeros_like(x[0, :2]), X),
    "constants": (lambda x: x + fb.tensor([1.0, 2, 3, 4]) + fb.eye(3, 4) + fb.linspace(0, 1, 4), X),
    "products": (
        lambda x, y: (x @ y, fb.mm(x, y), fb.einsum("ij,jk->ki", x, y), fb.addmm(fb.ones(5), x, y), x[0] @ y),
        X,
        Y,
    ),
    "batches": (lambda x, y: (x @ y, fb.bmm(x, y), fb.baddbmm(x @ y, x, y, beta=2)), (2, 3, 4), (2, 4, 5)),
    "norms": (lambda x: (x.norm(), x.norm(dim=1), fb.linalg.vector_norm(x, 1, 0), F.normalize(x)), X),
    "systems": (lambda x: (fb.linalg.solve(x @ x.T + fb.eye(3), x), fb.linalg.inv(x @ x.T + fb.eye(3))), X),
    "fourier": (lambda x: (fb.fft.fft(x).real, fb.fft.irfft(fb.fft.rfft(x)), fb.fft.fftshift(x, 1)), X),
    "gathered": (lambda x: (x.gather(1, INDEX[None]), x.index_select(1, INDEX), x.take(INDEX), F.one_hot(INDEX)), X),
    "scattered": (
        lambda x: (x.scatter(1, INDEX[None], 1.0), x.index_add(1, INDEX, x), x.scatter_add(1, INDEX[None], x)),
        X,
    ),
    "masked": (lambda x: (x.masked_fill(x > 0, 1), x.masked_select(x > 0), x.nonzero()), X),
    "special": (
        lambda x: (fb.special.erf(x), fb.lgamma(x.abs()), x.sigmoid().logit(), fb.special.xlogy(x.abs(), 2)),
        X,
    ),
    "complex": (
        lambda x: (fb.complex(x, x).abs(), fb.view_as_real(fb.polar(x.abs(), x)), fb.complex(x, x).conj().imag),
        X,
    ),
    "images": (
        lambda x: (F.interpolate(x, 4), F.interpolate(x, scale_factor=1.5, mode="bilinear"), F.pad(x, (1, 2))),
        IMAGE,
    ),
    "pools": (
        lambda x: (F.max_pool2d(x, 2, return_indices=True), F.adaptive_avg_pool2d(x, (2, None)), F.unfold(x, 2)),
        IMAGE,
    ),
    "shuffled": (
        lambda x: (
            F.pixel_unshuffle(x, 2),
            F.channel_shuffle(x, 3),
            F.grid_sample(x, x[:, :2].permute(0, 2, 3, 1), align_corners=False),
        ),
        IMAGE,
    ),
    "attention": (lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True), (2, 3, 4, 8)),
    "masked attention": (lambda x: F.scaled_dot_product_attention(x, x, x, x @ x.mT > 0, scale=0.3), (2, 3, 4, 8)),
    "losses": (
        lambda x: (
            F.cross_entropy(x, INDEX[:3]),
            F.mse_loss(x, x * 0),
            F.huber_loss(x, x * 2),
            F.nll_loss(x, INDEX[:3]),
        ),
        X,
    ),
    "embedding": (lambda x: (F.embedding(INDEX % 3, x), F.embedding_bag(INDEX % 3, x, fb.tensor([0, 2]))), X),
    "distances": (
        lambda x: (fb.cdist(x, x), F.cosine_similarity(x, x * 2), F.pairwise_distance(x, x + 1), fb.pdist(x)),
        X,
    ),
    "comparing": (lambda x: (fb.isclose(x, x + 1e-9), fb.isin(x.round(), fb.tensor([0.0, 1.0])), x.isfinite()), X),
    "replaced": (lambda x: (x.log().nan_to_num(), x.select_scatter(x[0], 0, 1), x.clone().fill_(2.0)), X),
    "mapped": (lambda x: tuple(fb.func.vmap(f)(x) for f in MAPPED), X),
    "mapped convolution": (lambda x, w: fb.func.vmap(F.conv1d)(x, w), (2, 3, 2, 5), (2, 4, 2, 3)),
    "random": (
        lambda x: (F.dropout(x, 0.5), x + fb.randn(4), fb.rand_like(x), fb.randint(0, 9, (3,)), x.abs().bernoulli(0.3)),
        X,
    ),
}


def _assigned(x):
    x[0] = 1
    x[:, 1] = x[:, 2] * 2
    x[1, INDEX] = fb.tensor([9.0, 8.0, 7.0, 7.0])
    x[x > 5] = 0
    x[..., -1:] += 3
    return x


def _through_views(x):
    rows = x.unbind(0)
    rows[0].zero_()
    x.view(-1)[3:5].mul_(2)
    x.T.copy_(x.T + 1)
    return x


@pytest.mark.parametrize("name", FUNCTIONS)
def test_traced_functions_equal_eager_mode(name):
    function, *shapes = FUNCTIONS[name]
    fb.manual_seed(0)
    examples, others = ([fb.randn(shape) for shape in shapes] for _ in range(2))
    program = fb.jit.trace(function, tuple(examples), check_trace=False)
    fb.manual_seed(1)
    expected = function(*others)
    fb.manual_seed(1)
    same(program(*others), expected)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_overridden_operators_run_a_program_call_by_call(name):
    """Check that a program runs call by call in Python if operators are overridden."""
    function, *shapes = FUNCTIONS[name]
    fb.manual_seed(0)
    inputs = [fb.randn(shape) for shape in shapes]
    program = fb.jit.trace(function, tuple(inputs), check_trace=False)
    fb.manual_seed(1)
    expected = function(*inputs)
    fb.manual_seed(1)

    class Counting(fb.overrides.TorchFunctionMode):
        calls = 0

        def __torch_function__(self, func, types, args=(), kwargs=None):
            self.calls += 1
            return func(*args, **(kwargs or {}))

    with Counting() as counting:
        made = program(*inputs)
    same(made, expected)
    assert counting.calls


@pytest.mark.parametrize("name", FUNCTIONS)
def test_graphs_of_functions_equal_eager_mode(name):
    function, *shapes = FUNCTIONS[name]
    fb.manual_seed(0)
    inputs = [fb.randn(shape) for shape in shapes]
    program = fb.jit.trace(function, tuple(inputs), check_trace=False)
    graph_module = fx.GraphModule(program._constants, graph_of(program.code))
    fb.manual_seed(1)
    expected = function(*inputs)
    fb.manual_seed(1)
    same(graph_module(*inputs), expected)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.text)
def test_graphs_of_layers_equal_eager_mode(layer):
    fb.manual_seed(0)
    module, x = layer.make().eval(), fb.randn(layer.shape)
    program = fb.jit.trace(module, x)
    graph = graph_of(program.code)
    state = {str(node.target): _attribute(program, str(node.target)) for node in graph.find_nodes(op="get_attr")}
    fb.manual_seed(1)
    expected = module(x)
    fb.manual_seed(1)
    same(fx.GraphModule(state, graph)(x), expected)


def _attribute(program, path):
    """Return a parameter, buffer or constant of a program."""
    return functools.reduce(getattr, path.split("."), program)


def test_program_operators_match_python_operators():
    """Check that operators in programs have the names and numbers of parameters of Python's operators."""
    training = {"run_backward", "gradient_of", "set_gradient", "clear_gradients", "step_optimizer", "set_grad_mode"}
    own = {*OWN, *training, "check_input", "clone"}
    for name, count in NATIVE.items():
        base = name.removesuffix("_")
        if name in own or base in own or name.startswith(("number_", "require_")):
            continue
        definitions = (getattr(holder, n, None) for n in (name, base) for holder in (_core, fb.Tensor))
        function = next((found for found in definitions if found is not None), None) or _core._rows.get(base)
        assert function is not None, name
        kept = [p for p in signature(function).parameters.values() if p.name not in DROPPED]
        assert len(kept) == count, f"{name} has {[p.name for p in kept]}, programs give {count}"
