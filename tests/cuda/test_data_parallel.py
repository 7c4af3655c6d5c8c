"""Tests that a module on two GPUs gives the same results as on one. The emulator provides two GPUs in a process."""

import os

import pytest
from process import run

import flambeau as fb
from flambeau import nn

several = pytest.mark.skipif(
    "FLAMBEAU_CUDA_DRIVER" not in os.environ, reason="several GPUs are emulated in processes of their own"
)

SETUP = """
import warnings
from flambeau import nn
from flambeau.testing import assert_close

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
        self.recurrent, self.out = nn.GRU(4, 5, batch_first=True), nn.Linear(5, 2)
        self.scale = nn.ParameterList([nn.Parameter(fb.ones(2))])
        self.seen = []

    def forward(self, x, factor=1.0):
        assert x.device == next(self.parameters()).device and fb.cuda.current_device() == x.device.index
        self.seen.append((x.device.index, len(x)))
        h = self.norm(self.conv(x)).relu().flatten(2).mT
        return self.out(self.recurrent(h)[0][:, -1]) * self.scale[0] * factor

fb.manual_seed(0)
net, twin = Net().cuda(0), Net().cuda(0)
twin.load_state_dict(net.state_dict())
x = fb.randn(7, 1, 6, 6)
"""


def on_two(code):
    return run(SETUP + code, FLAMBEAU_EMULATED_DEVICES=2).split("\n")


@several
def test_data_parallel_equals_one_gpu():
    assert on_two("""
net.norm.eval(), twin.norm.eval()
model = nn.DataParallel(net)
out, expected = model(x, factor=2.0), twin(x.cuda(), factor=2.0)
assert_close(out, expected, rtol=1e-4, atol=1e-5)
out.square().sum().backward(), expected.square().sum().backward()
for mine, other in zip(net.parameters(), twin.parameters(), strict=True):
    assert_close(mine.grad, other.grad, rtol=1e-3, atol=1e-4)
print(model.device_ids, out.device, net.seen, list(model.state_dict())[0])
with fb.no_grad():
    print(nn.DataParallel(net, [1, 0], 1).to("cuda:1")(x).device)
""") == ["[0, 1] cuda:0 [(0, 4), (1, 3)] module.conv.weight", "cuda:1"]


@several
def test_the_first_replica_updates_the_buffers_of_the_module():
    assert on_two("""
nn.DataParallel(net)(x)
twin(x[:4].cuda())
for mine, other in zip(net.buffers(), twin.buffers(), strict=True):
    assert_close(mine, other, rtol=1e-4, atol=1e-5)
print(net.norm.num_batches_tracked.item())
""") == ["1"]


@several
def test_data_parallel_accepts_small_batches_and_rejects_wrong_devices():
    assert on_two("""
model = nn.DataParallel(net)
net.eval()
print(model(x[:1]).shape, net.seen)
for wrong in (lambda: nn.DataParallel(net.to("cuda:1"), [0, 1])(x), lambda: nn.DataParallel(net, [0, 5])(x)):
    try:
        wrong()
    except RuntimeError as error:
        print(error)
""") == [
        "flambeau.Size([1, 2]) [(0, 1)]",
        "module must have its parameters and buffers on device cuda:0 (device_ids[0]) but found one of them on device: "
        "cuda:1",
        "module must have its parameters and buffers on device cuda:0 (device_ids[0]) but found one of them on device: "
        "cuda:1",
    ]


@several
def test_subclasses_of_data_parallel_override_its_steps():
    assert on_two("""
class Own(nn.DataParallel):
    def scatter(self, inputs, kwargs, device_ids):
        return super().scatter((inputs[0]["image"],), kwargs, device_ids)

    def gather(self, outputs, output_device):
        return [output.shape[0] for output in outputs]

print(Own(net)({"image": x}, factor=1))
""") == ["[4, 3]"]


@several
def test_the_function_data_parallel_equals_the_module():
    assert on_two("""
net.eval()
with fb.no_grad():
    expected = net(x.cuda())
    assert_close(nn.parallel.data_parallel(net, x), expected, rtol=1e-4, atol=1e-5)
    on_host = nn.parallel.data_parallel(net, x, output_device="cpu", module_kwargs={"factor": 2})
    assert_close(on_host, 2 * expected.cpu(), rtol=1e-4, atol=1e-5)
replicas = nn.parallel.replicate(net, [0, 1])
assert replicas[0].conv.weight is net.conv.weight and replicas[1].conv.weight.grad_fn is not None
assert nn.parallel.replicate(net, [1], detach=True)[0].conv.weight.requires_grad is False
parts = nn.parallel.scatter(x, [0, 1])
outs = nn.parallel.parallel_apply(replicas, parts)
assert_close(nn.parallel.gather(outs, 0), expected, rtol=1e-4, atol=1e-5)
nested = nn.parallel.scatter({"a": (x, 3), "b": [x]}, [0, 1])
print([(each["a"][0].device.index, len(each["a"][0]), each["a"][1], type(each["b"]).__name__) for each in nested])
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    whole = nn.parallel.gather([{"s": part.sum() * 0 + 1, "n": None, "l": [part]} for part in parts], 1)
print(whole["s"].tolist(), whole["s"].device, whole["n"], whole["l"][0].shape, len(caught))
""") == ["[(0, 4, 3, 'list'), (1, 3, 3, 'list')]", "[1.0, 1.0] cuda:1 None flambeau.Size([7, 1, 6, 6]) 1"]


def test_data_parallel_with_one_gpu_calls_the_module_directly():
    layer = nn.Linear(3, 2)
    model = nn.DataParallel(layer, [0])
    assert layer.weight.is_cuda and model(fb.ones(4, 3)).device == fb.device("cuda:0") and model.output_device == 0
    out = nn.parallel.data_parallel(layer, (fb.ones(4, 3),), ["cuda:0"])
    assert fb.equal(out, model(fb.ones(4, 3)))
