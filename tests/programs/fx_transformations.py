"""Transformations of fx graphs: fused batch normalisation, profiling by node, decomposed and replaced operations."""

import copy
import operator
import time

import torch
import torch.fx as fx
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class WrappedBatchNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.mod = nn.BatchNorm2d(1)

    def forward(self, x):
        return self.mod(x)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 1, 1)
        self.bn1 = nn.BatchNorm2d(1)
        self.nested = nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 1, 1))
        self.wrapped = WrappedBatchNorm()

    def forward(self, x):
        x = self.bn1(self.conv1(x))
        return self.wrapped(F.relu(self.nested(x)))


# Convolutions and batch normalisation

torch.manual_seed(0)
model = Model()
for _ in range(3):  # statistics that are not 0 and 1
    model(torch.randn(8, 1, 4, 4))
model.eval()
traced = fx.symbolic_trace(model)
modules = dict(traced.named_modules())
for node in traced.graph.nodes:
    if node.op != "call_module" or type(modules[node.target]) is not nn.BatchNorm2d:
        continue
    before = node.args[0]
    if before.op != "call_module" or type(modules[before.target]) is not nn.Conv2d or len(before.users) > 1:
        continue
    modules[before.target] = fuse_conv_bn_eval(modules[before.target], modules[node.target])
    setattr(traced, before.target, modules[before.target])
    node.replace_all_uses_with(before)
    traced.graph.erase_node(node)
traced.graph.lint()
traced.recompile()
traced.delete_all_unused_submodules()
x = torch.randn(2, 1, 4, 4)
torch.testing.assert_close(traced(x), model(x))
names = [node.name for node in traced.graph.nodes]
assert names == ["x", "conv1", "nested_1", "relu", "wrapped_mod", "output"], names
assert "bn1" not in dict(traced.named_modules())


# Time of each node


class Profiler(fx.Interpreter):
    def __init__(self, module):
        super().__init__(fx.symbolic_trace(module))
        self.seconds = {}

    def run_node(self, node):
        start = time.perf_counter()
        result = super().run_node(node)
        self.seconds.setdefault(node, []).append(time.perf_counter() - start)
        return result


profiler = Profiler(model)
torch.testing.assert_close(profiler.run(x), model(x))
profiler.run(x)
assert all(len(seconds) == 2 for seconds in profiler.seconds.values())
assert {node.op for node in profiler.seconds} == {"placeholder", "call_module", "call_function", "output"}


# Decomposition of operations with proxies


def decompose(module, rules):
    graph, environment = fx.Graph(), {}
    tracer = fx.proxy.GraphAppendingTracer(graph)
    for node in fx.symbolic_trace(module).graph.nodes:
        if node.op == "call_function" and node.target in rules:
            proxies = fx.map_arg(node.args[:1], lambda n: fx.Proxy(environment[n.name], tracer))
            environment[node.name] = rules[node.target](*proxies).node
        else:
            environment[node.name] = graph.node_copy(node, lambda n: environment[n.name])
    return fx.GraphModule(module, graph)


decomposed = decompose(model, {F.relu: lambda x: (x > 0) * x})
torch.testing.assert_close(decomposed(x), model(x))
assert [node.target for node in decomposed.graph.nodes if node.op == "call_function"] == [operator.gt, operator.mul]


# Inverting a function

INVERSE = {torch.exp: torch.log, torch.sin: torch.arcsin}
graph, environment = fx.Graph(), {}
for node in reversed(fx.symbolic_trace(lambda x: torch.exp(torch.sin(x))).graph.nodes):
    if node.op == "call_function":
        environment[node.args[0].name] = graph.call_function(INVERSE[node.target], (environment[node.name],))
    elif node.op == "output":
        environment[node.args[0].name] = graph.placeholder(node.name)
    else:
        graph.output(environment[node.name])
inverse = fx.GraphModule(nn.Module(), graph)
angles = torch.linspace(-1, 1, 5)
torch.testing.assert_close(inverse(torch.exp(torch.sin(angles))), angles)


# Replacement of patterns; a copy of a graph module has separate parameters, which can be trained

rewritten = copy.deepcopy(decomposed)
matches = fx.replace_pattern(rewritten, lambda x: (x > 0) * x, lambda x: torch.clamp(x, min=0.0))
assert len(matches) == 1
torch.testing.assert_close(rewritten(x), model(x))
rewritten(x).sum().backward()
assert rewritten.conv1.weight.grad is not None
assert model.conv1.weight.grad is None


# Code that cannot be traced raises an error; wrapped functions can be traced


def branches(x):
    return x if x.sum() > 0 else -x


try:
    fx.symbolic_trace(branches)
except fx.proxy.TraceError as error:
    assert "symbolically traced variables cannot be used as inputs to control flow" in str(error)
else:
    raise AssertionError("a branch was traced")

fx.wrap("branches")
wrapped = fx.symbolic_trace(lambda x: branches(x) + 1)
assert [node.name for node in wrapped.graph.nodes] == ["x", "branches", "add", "output"]
assert wrapped(torch.tensor([-2.0])).item() == 3.0
