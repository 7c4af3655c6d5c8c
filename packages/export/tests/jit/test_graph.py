"""Conversion of programs to graphs of ``flambeau.fx``."""

import operator

import flambeau as fb
from flambeau import fx, nn
from flambeau.jit._graph import graph_of


def test_graphs_of_programs_read_parameters_by_name_and_omit_default_arguments():
    layers = (nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3), nn.Softmax(-1))
    model, x = nn.Sequential(*layers).eval(), fb.randn(2, 1, 4, 4)
    graph = graph_of(fb.jit.trace(model, x).code)
    assert [str(node.target) for node in graph.nodes if node.op == "get_attr"][:2] == ["0.weight", "0.bias"]
    (linear,) = graph.find_nodes(op="call_function", target=nn.functional.linear)
    assert [str(arg) for arg in linear.args] == ["flatten", "_4_weight", "_4_bias"] and not linear.kwargs
    (flatten,) = graph.find_nodes(op="call_function", target=fb.flatten)
    assert flatten.args[1:] == (1,)
    (result,) = fx.GraphModule(model, graph)(x)
    assert fb.equal(result, model(x))


def test_graphs_of_programs_have_sizes_but_no_checks():
    def f(x, y):
        assert len(y) == 2
        a, b = x.view(x.shape[0] * 2, -1).chunk(2)
        a[0] = 1
        a.add_(1)
        return a[:, 1:], b[y], fb.zeros(x.shape[1])

    inputs = fb.randn(2, 4), fb.tensor([1, 0])
    graph = graph_of(fb.jit.trace(f, inputs, check_trace=False).code)
    targets = [node.target for node in graph.nodes]
    assert targets[:6] == ["x", "y", "size", "size", operator.mul, "view"] and targets.count("size") == 2
    graph_module = fx.GraphModule({}, graph)
    for given in (inputs, (fb.randn(4, 6), fb.tensor([2, 1]))):
        expected = f(*[each.clone() for each in given])
        for result, wanted in zip(graph_module(*[each.clone() for each in given]), expected, strict=True):
            assert fb.equal(result, wanted)


def test_graphs_of_programs_distinguish_methods_and_store_examples():
    text = "input %0 x.0\n%1 = add(%0, 2, 1)\n%2 = sum(%1, [0], True, None)\n%3 = exp(%2)\nreturn %3\n"
    example = fb.ones(3)
    graph = graph_of(text, {"%1", "%2"}, {"%1": example})
    x, add, total, exp, output = graph.nodes
    assert x.name == "x_0" and (add.target, total.target, exp.target) == (operator.add, "sum", fb.exp)
    assert add.meta == {"example_value": example, "val": example} and not exp.meta
    assert total.args == (add, [0], True) and output.args == ((exp,),)
