"""Tests that callables that replay CUDA graphs give the results and gradients of the original callables."""

import copy

import pytest

import flambeau as fb
import flambeau.nn.functional as F
from flambeau import cuda, nn
from flambeau.testing import assert_close


def leaf(*shape):
    return fb.randn(*shape, device="cuda", requires_grad=True)


def outcome(function, inputs, parameters=()):
    """Return the results and the gradients of inputs and parameters. Each result element has a different weight."""
    inputs = [t.detach().requires_grad_(t.requires_grad) for t in inputs]
    result = function(*inputs)
    outputs = result if isinstance(result, tuple) else (result,)
    wanted = [t for t in (*inputs, *parameters) if t.requires_grad]
    weights = [fb.linspace(-1, 2, o.numel(), device="cuda").reshape(o.shape) for o in outputs]
    return [o.detach().clone() for o in outputs], [g.clone() for g in fb.autograd.grad(outputs, wanted, weights)]


@pytest.mark.parametrize("warm_ups", [0, 3])
def test_a_graphed_function_gives_correct_results_for_new_inputs(warm_ups):
    def function(x, y):
        return (x * y).tanh() + x.exp().sum(0)

    graphed = cuda.make_graphed_callables(function, (leaf(4, 3), leaf(4, 3)), num_warmup_iters=warm_ups)
    for _ in range(3):
        inputs = leaf(4, 3), leaf(4, 3).t().contiguous().t()
        assert_close(outcome(graphed, inputs), outcome(function, inputs))


def test_replays_of_a_graph_do_not_call_the_function():
    calls = []

    def function(x):
        calls.append(x)
        return x * 2

    graphed = cuda.make_graphed_callables(function, (leaf(3),), num_warmup_iters=2)
    x = leaf(3)
    y = graphed(x)
    assert len(calls) == 3 and calls[0] is calls[2] and fb.equal(y, x * 2)
    assert y.grad_fn.name() == "GraphedBackward"


def test_a_call_with_the_sample_tensors_does_not_copy_them():
    x = leaf(3)
    graphed = cuda.make_graphed_callables(fb.exp, (x,))
    version = x._version
    assert fb.equal(graphed(x), x.exp()) and x._version == version


def test_graphed_callables_take_nested_arguments_and_results():
    def function(pair, named):
        a, b = pair
        return {"product": a * named["c"], "sums": [a + b, b.detach() * 2]}

    def fresh():
        return (leaf(3), leaf(3)), {"c": leaf(3)}

    graphed = cuda.make_graphed_callables(function, fresh())
    for _ in range(2):
        arguments = fresh()
        here, there = graphed(*arguments), function(*arguments)
        assert_close(here, there)
        assert here["sums"][0].requires_grad and not here["sums"][1].requires_grad
        leaves = [*arguments[0], arguments[1]["c"]]
        losses = [(r["product"].sin() + r["sums"][0].square()).sum() for r in (here, there)]
        assert_close(*(fb.autograd.grad(loss, leaves) for loss in losses))


def test_a_graphed_module_may_return_a_tuple():
    layer = nn.LSTM(3, 5).cuda()
    plain = copy.deepcopy(layer)
    sample = leaf(4, 2, 3), (leaf(1, 2, 5), leaf(1, 2, 5))
    assert cuda.make_graphed_callables(layer, sample) is layer
    for _ in range(2):
        inputs = [leaf(4, 2, 3), leaf(1, 2, 5), leaf(1, 2, 5)]

        def run(module):
            def function(x, h, c):
                out, (h, c) = module(x, (h, c))
                return out, h, c

            return outcome(function, inputs, tuple(module.parameters()))  # noqa: B023

        assert_close(run(layer), run(plain))


def test_graphed_callables_work_without_gradients():
    x = fb.randn(3, device="cuda")
    graphed = cuda.make_graphed_callables(lambda x: (x + 1, x > 0), (x,))
    for _ in range(2):
        x = fb.randn(3, device="cuda")
        y, positive = graphed(x)
        assert fb.equal(y, x + 1) and fb.equal(positive, x > 0) and not y.requires_grad


def test_graphed_callables_may_have_gradients_only_for_parameters():
    layer, plain = (nn.Linear(3, 2).cuda() for _ in range(2))
    plain.load_state_dict(layer.state_dict())
    cuda.make_graphed_callables(layer, (fb.zeros(4, 3, device="cuda"),))
    for _ in range(2):  # gradients accumulate, although the graph writes each to the same memory
        x = fb.randn(4, 3, device="cuda")
        for module in (layer, plain):
            module(x).square().sum().backward()
        assert_close([p.grad for p in layer.parameters()], [p.grad for p in plain.parameters()])


def test_training_a_graphed_module_gives_the_results_of_the_plain_module():
    fb.manual_seed(1)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1)).cuda()
    plain = copy.deepcopy(model)
    sample = fb.randn(16, 4, device="cuda")
    for _ in range(4):  # warm-up updates running statistics; the capture only records the update
        plain(sample)
    cuda.make_graphed_callables(model, (sample,), num_warmup_iters=4)
    losses = []
    optimizers = [fb.optim.Adam(m.parameters(), lr=0.05) for m in (model, plain)]
    for _ in range(20):
        x = fb.randn(16, 4, device="cuda")
        for module, optimizer in zip((model, plain), optimizers, strict=True):
            optimizer.zero_grad()
            loss = F.mse_loss(module(x), x[:, :1] * 2 - x[:, 1:2])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert_close(losses[::2], losses[1::2], rtol=1e-4, atol=1e-5)
    assert_close(model.state_dict(), plain.state_dict(), rtol=1e-4, atol=1e-5)
    assert losses[-1] < losses[0] / 4


def test_several_callables_are_graphed_in_sequence():
    def activation(x):
        return fb.sigmoid(x) * x

    first, last = nn.Linear(3, 5).cuda(), nn.Linear(5, 2).cuda()
    plain = copy.deepcopy(first), activation, copy.deepcopy(last)
    samples = (leaf(4, 3),), (leaf(4, 5),), (leaf(4, 5),)
    graphed = cuda.make_graphed_callables((first, activation, last), samples, pool=cuda.graph_pool_handle())
    assert graphed[0] is first and graphed[1] is not activation and graphed[2] is last
    for _ in range(3):
        x = leaf(4, 3)

        def run(layers):
            parameters = [*layers[0].parameters(), *layers[2].parameters()]
            return outcome(lambda x: layers[2](layers[1](layers[0](x))), [x], parameters)  # noqa: B023

        assert_close(run(graphed), run(plain))


def test_a_module_in_the_other_training_mode_runs_without_the_graph():
    layer = nn.BatchNorm1d(3).cuda()
    cuda.make_graphed_callables(layer, (leaf(4, 3),))
    x = leaf(4, 3)
    assert layer(x).grad_fn.name() == "GraphedBackward"
    layer.eval()
    expected = F.batch_norm(x, layer.running_mean, layer.running_var, layer.weight, layer.bias)
    assert_close(layer(x), expected)
    assert_close(layer(x[:2]), expected[:2])  # evaluation does not replay the graph, so any batch size is allowed
    layer.train()
    assert_close(layer(x), F.batch_norm(x, None, None, layer.weight, layer.bias, training=True))


def test_graphed_modules_draw_new_dropout_masks():
    first, last = (nn.Sequential(nn.Linear(3, 20), nn.Dropout(), nn.Linear(20, 3), nn.Dropout()).cuda() for _ in "ab")
    plain = copy.deepcopy(first), copy.deepcopy(last)
    cuda.make_graphed_callables((first, last), ((leaf(2, 3),), (leaf(2, 3),)))
    inputs = [leaf(2, 3) for _ in range(3)]

    def run(layers):
        fb.manual_seed(3)
        parameters = [p for layer in layers for p in layer.parameters()]
        return [outcome(lambda x: layers[1](F.dropout(layers[0](x))), [x], parameters) for x in inputs]

    assert_close(run((first, last)), run(plain))


def test_hooks_can_be_registered_after_graphing():
    layer = nn.Linear(3, 2).cuda()
    cuda.make_graphed_callables(layer, (leaf(4, 3),))
    seen = []
    layer.register_forward_hook(lambda module, arguments, output: seen.append(output))
    y = layer(leaf(4, 3))
    assert len(seen) == 1 and seen[0] is y


def test_graphed_callables_reject_unused_inputs_by_default():
    def first(x, y):
        return x * 2

    with pytest.raises(RuntimeError, match="not have been used"):
        cuda.make_graphed_callables(first, (leaf(3), leaf(3)))
    graphed = cuda.make_graphed_callables(first, (leaf(3), leaf(3)), allow_unused_input=True)
    x, y = leaf(3), leaf(3)
    graphed(x, y).sum().backward()
    assert x.grad.tolist() == [2.0] * 3 and y.grad is None


def test_second_derivatives_are_rejected():
    graphed = cuda.make_graphed_callables(fb.exp, (leaf(3),))
    x = leaf(3)
    (gradient,) = fb.autograd.grad(graphed(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_the_backward_pass_of_an_earlier_call_is_rejected():
    graphed = cuda.make_graphed_callables(fb.exp, (leaf(3),))
    first, last = graphed(leaf(3)), graphed(leaf(3))
    last.sum().backward()
    with pytest.raises(RuntimeError, match="called again before this backward pass"):
        first.sum().backward()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((fb.ones(4),), ValueError, "of shape"),
        ((fb.ones(3).double(),), ValueError, "float64"),
        ((), TypeError, "expects 1 tensors"),
        ((1.0,), TypeError, "expects 1 tensors"),
        ((fb.ones(3), fb.ones(3)), TypeError, "expects 1 tensors"),
    ],
)
def test_arguments_that_differ_from_the_sample_are_rejected(arguments, error, message):
    graphed = cuda.make_graphed_callables(fb.exp, (fb.ones(3, device="cuda"),))
    with pytest.raises(error, match=message):
        graphed(*arguments)
    with pytest.raises(RuntimeError, match="requires grad but its sample argument did not"):
        graphed(leaf(3))
    with fb.no_grad():
        graphed(leaf(3))
    assert_close(graphed(fb.zeros(3)), fb.ones(3, device="cuda"))  # copied from the CPU


def test_unsupported_callables_are_rejected():
    x = leaf(3)
    make = cuda.make_graphed_callables
    layer = nn.Linear(3, 2).cuda()
    handle = layer.register_forward_hook(print)
    with pytest.raises(AssertionError, match="must not have hooks"):
        make(layer, (x,))
    handle.remove()
    layer.register_buffer("scale", leaf(1))
    with pytest.raises(AssertionError, match="All buffers must have"):
        make(layer, (x,))
    with pytest.raises(AssertionError, match="only Tensors"):
        make(fb.exp, (1.0,))
    with pytest.raises(TypeError, match="must be a tuple"):
        make(fb.exp, x)
    with pytest.raises(ValueError, match="2 tuples"):
        make((fb.exp, fb.sin), ((x,),))
    with pytest.raises(ValueError, match="clones"):
        make(fb.mul, (x, x))
    with pytest.raises(TypeError, match="return only tensors"):
        make(lambda x: (x, None), (x,))
    with pytest.raises(RuntimeError, match="on cuda:0, got one on cpu"):
        make(fb.exp, (fb.ones(3),))
    with pytest.raises(RuntimeError, match="on cuda:0, got one on cpu"):
        make(nn.Linear(3, 2), (x,))
    with pytest.raises(RuntimeError, match="stream is capturing"):
        make(lambda x: x * x.sum().item(), (x,))
    with fb.autocast("cuda"), pytest.raises(RuntimeError, match="cache_enabled=False"):
        make(fb.exp, (x,))
    assert_close(outcome(make(fb.exp, (x,)), [x]), outcome(fb.exp, [x]))  # errors do not affect later captures


def test_graphed_callables_work_in_autocast_with_float16():
    layer = nn.Linear(16, 8).cuda()
    plain = copy.deepcopy(layer)
    with fb.autocast("cuda", dtype=fb.float16, cache_enabled=False):
        cuda.make_graphed_callables(layer, (leaf(4, 16),))
    x = leaf(4, 16)
    y = layer(x)
    with fb.autocast("cuda", dtype=fb.float16):
        expected = plain(x)
    assert y.dtype == fb.float16
    assert_close(y, expected)
    gradients = [fb.autograd.grad(o.float().sum(), m.parameters()) for o, m in ((y, layer), (expected, plain))]
    assert_close(*gradients)
