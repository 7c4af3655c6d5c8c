"""Tests of traced models on a GPU."""

import flambeau as fb
from flambeau import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = nn.functional.gelu(self.norm(self.conv(x))).mul_(2)
        x[:, 0] = x.new_zeros(x.shape[2:]) + 1
        return self.head(x.flatten(2).mean(2)) + fb.arange(3, device=x.device)


def test_a_traced_model_computes_on_the_gpu(host_calls):
    fb.manual_seed(0)
    model = Net().eval().cuda()
    program = fb.jit.trace(model, fb.randn(2, 1, 6, 6, device="cuda"))
    x = fb.randn(3, 1, 8, 8, device="cuda")
    made = program(x)
    assert made.is_cuda and fb.allclose(made, model(x))
    made.sum().backward()
    assert model.conv.weight.grad.is_cuda
    assert not host_calls()


def test_map_location_selects_the_device_of_traced_programs(tmp_path):
    model = nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 2))
    fb.jit.trace(model, fb.randn(2, 3)).save(tmp_path / "model")
    loaded = fb.jit.load(tmp_path / "model", map_location="cuda")
    x = fb.randn(5, 3)
    assert fb.allclose(loaded(x.cuda()).cpu(), model(x), rtol=1e-5, atol=1e-6)
    assert fb.allclose(loaded.cpu()(x), model(x), rtol=1e-5, atol=1e-6)
