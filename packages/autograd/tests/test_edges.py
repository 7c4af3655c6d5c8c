"""Gradient edges, batches of gradients, and hooks on several gradients at once."""

import threading

import pytest

import flambeau as fb
from flambeau.autograd import backward, grad, graph


@pytest.fixture
def x():
    return fb.tensor([1.0, 2.0, 3.0], dtype=fb.float64, requires_grad=True)


def test_backward_accepts_a_gradient_edge_in_place_of_its_tensor(x):
    y = x * x
    edge = graph.get_gradient_edge(y)
    assert edge.node is y.grad_fn and edge.output_nr == 0
    leaf = graph.get_gradient_edge(x)
    assert leaf.node.name() == "torch::autograd::AccumulateGrad" and leaf.node.variable is x
    z = (y * 3).sum()
    assert grad(z, edge, retain_graph=True)[0].tolist() == [3, 3, 3]
    assert grad(z, leaf, retain_graph=True)[0].tolist() == [6, 12, 18]
    del y
    assert grad(edge, x, fb.ones(3, dtype=fb.float64), retain_graph=True)[0].tolist() == [2, 4, 6]
    backward(graph.get_gradient_edge(z * 1), inputs=leaf)
    assert x.grad.tolist() == [6, 12, 18]


def test_invalid_edges_are_rejected(x):
    with pytest.raises(RuntimeError, match="does not require gradients"):
        graph.get_gradient_edge(fb.ones(2))
    with pytest.raises(TypeError, match="expects a Tensor, got int"):
        graph.get_gradient_edge(3)
    edge = graph.get_gradient_edge(x * 2)
    with pytest.raises(RuntimeError, match="only for scalar outputs"):
        backward(edge)
    with pytest.raises(IndexError, match="MulBackward0 has 1 outputs; there is no output with the index 5"):
        backward(graph.GradientEdge(edge.node, 5))
    with pytest.raises(RuntimeError, match="materialize_grads cannot be used"):
        grad((x * 2).sum(), edge, materialize_grads=True)
    with pytest.raises(TypeError, match="gradients can be either Tensors or None, but got int"):
        grad(x * 2, x, [3])


def test_grad_with_is_grads_batched_computes_a_jacobian(x):
    y = x**2
    seeds = fb.eye(3, dtype=fb.float64)
    (jacobian,) = grad(y, x, seeds, is_grads_batched=True, create_graph=True)
    assert jacobian.tolist() == [[2, 0, 0], [0, 4, 0], [0, 0, 6]]
    assert grad(jacobian.sum(), x)[0].tolist() == [2, 2, 2]
    unused = fb.ones(2, requires_grad=True)
    assert grad(x * 2, unused, seeds, is_grads_batched=True, allow_unused=True) == (None,)
    with pytest.raises(RuntimeError, match="same first dimension"):
        grad([x * 2, x * 3], x, [seeds, fb.ones(2, 3)], is_grads_batched=True)
    with pytest.raises(
        RuntimeError, match="we interpret the first dimension of each grad_output as the batch dimension"
    ):
        grad(x * 2, x, fb.ones(3, 1), is_grads_batched=True)


def test_deprecated_arguments_of_backward_and_grad_warn_or_raise(x):
    with pytest.warns(FutureWarning, match="grad_variables"):
        backward(x * 2, grad_variables=fb.ones(3, dtype=fb.float64))
    assert x.grad.tolist() == [2, 2, 2]
    with pytest.raises(ValueError, match="only_inputs"):
        grad(x.sum(), x, only_inputs=False)


def test_a_multi_grad_hook_runs_when_all_gradients_are_computed(x):
    seen = []
    y, z, unused = x * 1, x * 2, x * 3
    handle = graph.register_multi_grad_hook(
        [y, z, unused, x], lambda gradients: seen.append([None if g is None else g.tolist() for g in gradients])
    )
    (y * z).sum().backward(retain_graph=True)
    assert seen == [[[2, 4, 6], [1, 2, 3], None, [4, 8, 12]]]
    y.sum().backward(retain_graph=True)
    assert seen[1] == [[1, 1, 1], None, None, [1, 1, 1]]
    grad((y * z).sum(), y, retain_graph=True)
    assert seen[2] == [[2, 4, 6], None, None, None]
    (y * z).sum().backward(inputs=(unused, y), retain_graph=True)  # the pass does not reach one of its inputs
    assert seen[3] == [[2, 4, 6], None, None, None]
    handle.remove()
    y.sum().backward()
    assert len(seen) == 4


def test_a_multi_grad_hook_in_any_mode_runs_at_the_first_gradient(x):
    seen = []
    y, z = x * 1, x * 2
    with graph.register_multi_grad_hook([y, z], lambda g: seen.append(g.tolist()), mode="any"):
        (y + z).sum().backward(retain_graph=True)
        (y + z).sum().backward(retain_graph=True)
    (y + z).sum().backward()
    assert seen == [[1, 1, 1]] * 2
    with pytest.raises(ValueError, match="'all', 'any'"):
        graph.register_multi_grad_hook([y], print, mode="some")


def test_a_hook_handle_does_not_keep_its_tensor_alive(x):
    import weakref

    y = x * 1
    handle = y.register_hook(print)
    reference = weakref.ref(y)
    del y
    assert reference() is None
    handle.remove()


def test_hooks_apply_to_the_values_before_an_in_place_change(x):
    seen = []
    y = x * 1
    handle = y.register_hook(lambda g: seen.append(("before", g.tolist())))
    y.mul_(2)
    y.register_hook(lambda g: seen.append(("after", g.tolist())))
    y.sum().backward(retain_graph=True)
    assert seen == [("after", [1, 1, 1]), ("before", [2, 2, 2])]
    handle.remove()
    y.sum().backward()
    assert seen[2:] == [("after", [1, 1, 1])]


def test_node_hooks_accept_and_return_none(x):
    y = (x * 2).exp()
    node = y.grad_fn.next_functions[0][0]
    with node.register_prehook(lambda gradients: (None,)):
        y.sum().backward(retain_graph=True)
    with node.register_hook(lambda inputs, outputs: (None, None)):
        y.sum().backward(retain_graph=True)
    assert x.grad is None or x.grad.tolist() == [0, 0, 0]


def test_hooks_run_in_a_defined_order(x):
    order = []
    y = x * 1
    y.retain_grad()
    y.register_hook(lambda g: order.append("tensor"))
    y.grad_fn.register_prehook(lambda g: order.append("before the node"))
    y.grad_fn.register_hook(lambda i, o: order.append("after the node"))
    leaf = graph.get_gradient_edge(x).node
    x.register_post_accumulate_grad_hook(lambda t: order.append("after accumulation"))
    leaf.register_prehook(lambda g: order.append("before the leaf"))
    leaf.register_hook(lambda i, o: order.append("after the leaf"))
    x.register_hook(lambda g: order.append("leaf"))
    y.sum().backward()
    assert order == [
        "tensor",
        "before the node",
        "after the node",
        "leaf",
        "before the leaf",
        "after accumulation",
        "after the leaf",
    ]


def test_metadata_belongs_to_the_node(x):
    y = x * 2
    y.grad_fn.metadata["name"] = "twice"
    assert y.grad_fn.metadata == {"name": "twice"} and (x * 2).grad_fn.metadata == {}


def test_graphs_run_backward_in_many_threads(x):
    shared = (x * 2).exp()
    results, errors = [], []

    def work(k):
        try:
            for _ in range(30):
                own = fb.full((50,), float(k), dtype=fb.float64, requires_grad=True)
                (own.sin().sum() + shared.sum()).backward(retain_graph=True, inputs=[own])
                results.append(fb.allclose(own.grad, own.cos()))
                (g,) = grad(shared.sum(), x, retain_graph=True)
                results.append(fb.allclose(g, 2 * (2 * x).exp()))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors and len(results) == 480 and all(results)


def test_backward_works_in_a_forked_process(x):
    import os

    (x * x).sum().backward()
    child = os.fork()
    if child == 0:
        x.grad = None
        (x * x).sum().backward()
        os._exit(0 if x.grad.tolist() == [2, 4, 6] else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_backward_and_deletion_work_for_a_chain_of_a_million_nodes():
    x = fb.ones((), requires_grad=True)
    y = x
    for _ in range(1_000_000):
        y = -y
    y.backward()
    assert x.grad.item() == 1
    y = x
    for _ in range(1_000_000):
        y = -y
    del y
