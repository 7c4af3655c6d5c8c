"""Steps with sparse gradients, compared with the update rules in NumPy, applied to the rows with a gradient."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import optim

ROWS = [[1, 2, 2], [4, 1, 4], [0, 0, 0]]


def gradient(step):
    values = np.random.default_rng(step).normal(size=(3, 2))
    dense = np.zeros((5, 2))
    np.add.at(dense, ROWS[step], values)
    return fb.sparse_coo_tensor([ROWS[step]], values, (5, 2)), dense, np.unique(ROWS[step])


def stepped(kind, update, **options):
    """Run three steps and compare with ``update(weights, gradient, rows, number)``. Return optimizer and weight."""
    start = np.random.default_rng(9).normal(size=(5, 2))
    weight, expected = fb.tensor(start), start.copy()
    other = fb.tensor([1.0])
    optimizer = kind([weight], **options)
    for number in range(3):
        weight.grad, dense, rows = gradient(number)
        optimizer.step()
        update(expected, dense, rows, number + 1)
    assert weight.grad.is_sparse and other.grad is None
    np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-10)
    return optimizer, weight


def adam(sign=1.0):
    first, second = np.zeros((5, 2)), np.zeros((5, 2))

    def update(w, g, rows, t):
        g = sign * g[rows]
        first[rows] = 0.8 * first[rows] + 0.2 * g
        second[rows] = 0.9 * second[rows] + 0.1 * g * g
        rate = 0.1 * np.sqrt(1 - 0.9**t) / (1 - 0.8**t)
        w[rows] -= rate * first[rows] / (np.sqrt(second[rows]) + 1e-3)

    return update


@pytest.mark.parametrize("maximize", [False, True])
def test_sparse_adam_matches_numpy_and_restores_its_state(maximize):
    options = {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3, "maximize": maximize}
    optimizer, weight = stepped(optim.SparseAdam, adam(-1.0 if maximize else 1.0), **options)
    assert set(optimizer.state[weight]) == {"step", "exp_avg", "exp_avg_sq"} and optimizer.state[weight]["step"] == 3
    again = optim.SparseAdam([weight])
    again.load_state_dict(optimizer.state_dict())
    assert again.state[weight]["step"] == 3 and fb.equal(*(o.state[weight]["exp_avg"] for o in (again, optimizer)))


def test_adagrad_with_sparse_gradients_matches_numpy():
    total = np.full((5, 2), 0.5)

    def update(w, g, rows, t):
        total[rows] += g[rows] ** 2
        w[rows] -= 0.1 / (1 + (t - 1) * 0.2) * g[rows] / (np.sqrt(total[rows]) + 1e-10)

    stepped(optim.Adagrad, update, lr=0.1, lr_decay=0.2, initial_accumulator_value=0.5)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("maximize", [False, True])
def test_sgd_with_sparse_gradients_matches_numpy(momentum, nesterov, maximize):
    buffer = np.zeros((5, 2))

    def update(w, g, rows, t):
        g = -g if maximize else g
        buffer[:] = momentum * buffer + g
        w -= 0.1 * (g + momentum * buffer if nesterov and momentum else buffer)

    stepped(optim.SGD, update, lr=0.1, momentum=momentum, nesterov=nesterov and momentum > 0, maximize=maximize)


def test_a_group_may_mix_sparse_and_dense_gradients():
    table, bias = fb.ones(3, 2), fb.ones(2)
    table.grad, bias.grad = fb.sparse_coo_tensor([[1]], [[1.0, 2.0]], (3, 2)), fb.tensor([1.0, 1.0])
    optim.SGD([table, bias], lr=0.5).step()
    assert table.tolist() == [[1, 1], [0.5, 0], [1, 1]] and bias.tolist() == [0.5, 0.5]


def test_lbfgs_takes_the_dense_gradient():
    weight = fb.ones(3, 1)

    def closure():
        weight.grad = fb.sparse_coo_tensor([[0, 2]], 2 * weight[[0, 2]], (3, 1))
        return (weight[[0, 2]] ** 2).sum()

    optim.LBFGS([weight]).step(closure)
    np.testing.assert_allclose(weight.reshape(-1).numpy(), [0, 1, 0], atol=1e-6)


OPTIMIZERS = {name for name in optim.__all__ if isinstance(getattr(optim, name), type)} - {"Optimizer"}
OTHERS = sorted(OPTIMIZERS - {"SGD", "Adagrad", "SparseAdam", "LBFGS"})


@pytest.mark.parametrize("name", OTHERS)
def test_other_optimizers_reject_sparse_gradients(name):
    weight = fb.ones(5, 2, dtype=fb.float64)
    weight.grad = gradient(0)[0]
    with pytest.raises(RuntimeError, match=f"{name} does not support sparse gradients"):
        getattr(optim, name)([weight]).step()
    assert weight.tolist() == [[1, 1]] * 5


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda w: optim.SparseAdam([w], lr=0), ValueError, "Invalid learning rate: 0"),
        (lambda w: optim.SparseAdam([w], eps=0), ValueError, "Invalid epsilon value: 0"),
        (lambda w: optim.SparseAdam([w], betas=(0.5, 1)), ValueError, "beta parameter at index 1: 1"),
        (lambda w: optim.SparseAdam([fb.zeros(2), w.to_sparse()]), ValueError, r"indices \[\[0, 1\]\]"),
        (lambda w: optim.SGD([w], weight_decay=0.1).step(), RuntimeError, "weight_decay"),
        (lambda w: optim.Adagrad([w], weight_decay=0.1).step(), RuntimeError, "weight_decay option is not compatible"),
    ],
)
def test_invalid_calls_with_sparse_gradients_raise(call, error, message):
    weight = fb.ones(5, 2, dtype=fb.float64)
    weight.grad = gradient(0)[0]
    with pytest.raises(error, match=message):
        call(weight)


class SignDescent(optim.SGD):
    """A custom update rule that does not support sparse gradients."""

    def _update(self, group, params, grads):
        for param, grad in zip(params, grads, strict=True):
            if grad.is_sparse:
                raise NotImplementedError("sign not implemented for sparse tensors")
            param.add_(grad.sign(), alpha=-group["lr"])


class SGD(optim.Optimizer):
    """A user's class with the name of an optimizer of the package, but another update rule."""

    _update = SignDescent._update


@pytest.mark.parametrize("kind", [SignDescent, lambda params, lr: SGD(params, {"lr": lr})], ids=["subclass", "name"])
def test_a_custom_rule_is_not_replaced_by_that_of_sgd(kind):
    weight = fb.ones(5, 2, dtype=fb.float64)
    weight.grad = gradient(0)[0]
    with pytest.raises(RuntimeError, match="does not support sparse gradients"):
        kind([weight], lr=0.1).step()
    assert weight.tolist() == [[1, 1]] * 5


def test_a_subclass_with_other_options_keeps_the_rule():
    class Descent(optim.SGD):
        def __init__(self, params):
            super().__init__(params, lr=0.5)

    weight = fb.ones(3, 1)
    weight.grad = fb.sparse_coo_tensor([[1]], [[2.0]], (3, 1))
    Descent([weight]).step()
    assert weight.reshape(-1).tolist() == [1, 0, 1]


def test_sparse_adam_rejects_dense_gradients():
    weight = fb.ones(2)
    weight.grad = fb.ones(2)
    with pytest.raises(RuntimeError, match="does not support dense gradients"):
        optim.SparseAdam([weight]).step()


def test_zero_grad_removes_the_elements_of_sparse_gradients():
    weight = fb.ones(5, 2, dtype=fb.float64)
    optimizer = optim.SparseAdam([weight])
    weight.grad = gradient(0)[0]
    optimizer.zero_grad(set_to_none=False)
    assert weight.grad.is_sparse and weight.grad._nnz() == 0
    optimizer.zero_grad()
    assert weight.grad is None


@pytest.mark.parametrize("layout", ["coo", "csr"])
@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"maximize": True}])
def test_sgd_changes_sparse_parameters(layout, options):
    start = np.array([[0.0, 1.0, 0.0], [2.0, 0.0, 3.0]])
    sparse = getattr(fb.tensor(start), f"to_sparse_{layout}")()
    strided = fb.tensor(start)
    for weight in (sparse, strided):
        optimizer = optim.SGD([weight], lr=0.1, **options)
        for step in range(3):
            weight.grad = weight * (step + 1.0)
            optimizer.step()
    assert sparse._nnz() == 3
    np.testing.assert_allclose(sparse.to_dense().numpy(), strided.numpy(), rtol=1e-12)


def test_optimizers_without_sparse_support_reject_sparse_parameters():
    weight = fb.tensor([0.0, 1.0]).to_sparse()
    weight.grad = weight.clone()
    with pytest.raises(RuntimeError, match="Adagrad requires strided parameters"):
        optim.Adagrad([weight]).step()
    for kind in (optim.Adam, optim.RMSprop):
        with pytest.raises(RuntimeError, match="does not support sparse gradients"):
            kind([weight]).step()
