"""Tests of autograd graphs with tensors on the GPU."""

import pytest

import flambeau as fb
from flambeau.testing import assert_close


def test_gradients_on_the_gpu_equal_those_on_the_cpu(host_calls):
    x = fb.randn(50)
    results = []
    for device in ("cpu", "cuda"):
        t = x.to(device).requires_grad_()
        (gradient,) = fb.autograd.grad((fb.tanh(t) * fb.exp(-t)).cos().sum(), t)
        assert gradient.device.type == device
        results.append(gradient.cpu())
    assert_close(*results)
    assert not host_calls()


def test_backward_adds_gradients_through_both_devices_of_a_graph():
    x = fb.randn(5).requires_grad_()
    loss = (x.cuda() * 2).sum().cpu() * 3 + x.sum()
    loss.backward()
    assert_close(x.grad, fb.full((5,), 7.0))


def test_a_linear_model_learns():
    fb.manual_seed(0)
    x, weight = fb.randn(64, 3).cuda(), fb.tensor([[1.0], [-2.0], [0.5]]).cuda()
    y = x @ weight
    model = fb.nn.Linear(3, 1).cuda()
    optimizer = fb.optim.SGD(model.parameters(), lr=0.2)
    for _ in range(40):
        loss = fb.nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert model.weight.is_cuda and model.weight.grad.is_cuda
    assert loss.item() < 1e-3


def test_cuda_array_interface_of_a_tensor_that_requires_grad_raises():
    x = fb.ones(3, device="cuda", requires_grad=True)
    with pytest.raises(RuntimeError, match="detach"):
        x.__cuda_array_interface__  # noqa: B018


def test_collectives_do_not_change_leaves():
    if not fb._core._cuda_nccl_version():
        pytest.skip("NCCL is not installed")
    leaf = fb.ones(3, device="cuda", requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        fb.cuda.nccl.all_reduce([leaf])
    with fb.no_grad():
        fb.cuda.nccl.all_reduce([leaf])
    assert leaf.tolist() == [1, 1, 1]
