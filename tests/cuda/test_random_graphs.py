"""Tests that training steps with random numbers, captured as one graph, equal steps without a graph."""

import pytest

import flambeau as fb
import flambeau.nn.functional as F
from flambeau import cuda, nn
from flambeau.utils.checkpoint import checkpoint

WORK = {
    "dropout": lambda x: F.dropout(F.dropout(x, 0.3) + x, 0.6),
    "dropout_in_double": lambda x: F.dropout(x.double(), 0.3),
    "dropout1d": lambda x: F.dropout1d(x, 0.5),
    "alpha_dropout": lambda x: F.alpha_dropout(x, 0.3, training=True),
    "rrelu": lambda x: F.rrelu(x, training=True),
    "gumbel_softmax": lambda x: F.gumbel_softmax(x),
    "attention": lambda x: F.scaled_dot_product_attention(x, x * 2, x + 1, dropout_p=0.4),
}


def assert_replays(work, expected):
    """Check that a captured graph draws the same numbers as eager calls with seed 4."""
    graph = cuda.CUDAGraph()
    with cuda.graph(graph):
        out = work()
    fb.manual_seed(4)
    for each in expected:
        graph.replay()
        assert all(fb.equal(*pair) for pair in zip(out, each, strict=True))


@pytest.mark.parametrize("name", WORK)
def test_graph_replays_of_random_operators_have_correct_gradients(name):
    x = fb.randn(6, 5, 8, device="cuda", requires_grad=True)

    def work():
        (grad,) = fb.autograd.grad(WORK[name](x).square().sum(), x, create_graph=True)
        return grad.detach(), fb.autograd.grad(grad.sin().sum(), x)[0]

    fb.manual_seed(4)
    expected = [work() for _ in range(3)]
    assert_replays(work, expected)
    assert not fb.equal(expected[0][0], expected[1][0])


def test_training_with_dropout_gives_the_same_losses_in_a_captured_graph():
    def trained(replayed):
        fb.manual_seed(1)
        model = nn.Sequential(nn.Linear(4, 16), nn.Dropout(), nn.ReLU(), nn.Linear(16, 1)).cuda()
        optimizer = fb.optim.SGD(model.parameters(), lr=0.1)
        x = fb.randn(16, 4, device="cuda")

        def step():
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), x[:, :1])
            loss.backward()
            optimizer.step()
            return loss.detach()

        step()
        if not replayed:
            return [step().item() for _ in range(5)]
        graph = cuda.CUDAGraph()
        with cuda.graph(graph):
            loss = step()
        losses = []
        for _ in range(5):
            graph.replay()
            losses.append(loss.item())
        return losses

    assert trained(True) == trained(False)


def test_a_backward_pass_in_a_separate_graph_uses_the_same_dropout_mask():
    x = fb.ones(1000, device="cuda", requires_grad=True)
    forward, backward = cuda.CUDAGraph(), cuda.CUDAGraph()
    F.dropout(x).sum().backward()
    with cuda.graph(forward):
        y = F.dropout(x)
    with cuda.graph(backward):
        (grad,) = fb.autograd.grad(y, x, fb.ones_like(y), retain_graph=True)
    masks = []
    for _ in range(3):
        forward.replay()
        fb.rand(3, device="cuda")
        backward.replay()
        assert fb.equal(grad, y.detach())
        assert fb.equal(fb.autograd.grad(y, x, fb.ones_like(y), retain_graph=True)[0], grad)  # without the CUDA graph
        masks.append(grad.clone())
    assert not fb.equal(masks[0], masks[1]) and not fb.equal(masks[1], masks[2])


def drop_twice(x):
    return F.dropout(F.dropout(x.exp(), 0.3).sin(), 0.5)


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_activation_checkpoints_in_a_captured_graph_redraw_the_same_numbers(use_reentrant):
    """Test that the recomputation draws the random numbers of the first pass, even within another checkpoint."""
    x = fb.ones(300, device="cuda", requires_grad=True)

    def inner(x):
        return checkpoint(drop_twice, x + fb.rand(300, device="cuda"), use_reentrant=use_reentrant)

    def work():
        x.grad = None
        y = checkpoint(lambda x: F.dropout(inner(x)), x, use_reentrant=use_reentrant)
        noise = fb.rand(3, device="cuda")
        y.sum().backward()
        return y.detach(), x.grad, noise, fb.rand(3, device="cuda")

    cuda.reset_host_calls()
    fb.manual_seed(4)
    expected = [[t.clone() for t in work()] for _ in range(3)]
    after = fb.get_rng_state()
    assert_replays(work, expected)
    assert fb.equal(fb.get_rng_state(), after) and not cuda.host_calls()
    assert not fb.equal(expected[0][1], expected[1][1])


@pytest.mark.parametrize("captured", ["both", "forward", "backward"])
def test_activation_checkpoints_support_a_separately_captured_backward_pass(captured):
    x = fb.ones(300, device="cuda", requires_grad=True)

    def forward():
        return checkpoint(lambda x: F.dropout(x.exp()), x, use_reentrant=False)

    def backward(y):
        return fb.autograd.grad(y, x, fb.ones_like(y), retain_graph=True)[0]

    backward(forward())
    first, second = cuda.CUDAGraph(), cuda.CUDAGraph()
    if captured == "backward":
        y = forward()
    else:
        with cuda.graph(first):
            y = forward()
    if captured == "forward":
        first.replay()
        grad = backward(y)
    else:
        with cuda.graph(second):
            grad = backward(y)
    results = []
    for _ in range(2):
        if captured != "backward":
            first.replay()
        fb.rand(3, device="cuda")
        second.replay() if captured != "forward" else grad.copy_(backward(y))
        assert fb.equal(grad, y.detach())
        results.append(grad.clone())
    assert fb.equal(*results) == (captured == "backward")


def test_activation_checkpoints_in_graphed_callables_redraw_the_same_numbers():
    def function(x):
        return checkpoint(drop_twice, x, use_reentrant=False)

    x = fb.ones(300, device="cuda", requires_grad=True)
    graphed = cuda.make_graphed_callables(function, (x,))
    for _ in range(2):
        outcomes = []
        for each in (function, graphed):
            fb.manual_seed(6)
            y = each(x)
            fb.rand(2, device="cuda")
            outcomes.append((y.detach().clone(), fb.autograd.grad(y.sum(), x)[0].clone()))
        assert all(fb.equal(*pair) for pair in zip(*outcomes, strict=True))
