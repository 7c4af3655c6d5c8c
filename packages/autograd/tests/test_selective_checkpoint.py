"""Selective checkpointing: the results of selected operators are saved, and the other operators run again."""

import functools

import pytest

import flambeau as fb
from flambeau.utils._python_dispatch import TorchDispatchMode
from flambeau.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

aten = fb.ops.aten


class Calls(TorchDispatchMode):
    def __init__(self):
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.fixture
def x():
    return fb.tensor([[0.1, 0.7], [-0.4, 0.3]], dtype=fb.float64, requires_grad=True)


def compute(x):
    return (x @ x).sin() * (x @ x.exp())


def run_selectively(function, x, policy, **options):
    contexts = functools.partial(create_selective_checkpoint_contexts, policy, **options)
    return checkpoint(function, x, use_reentrant=False, context_fn=contexts)


def save_sines(context, operator, *args, **kwargs):
    return CheckpointPolicy.MUST_SAVE if operator is aten.sin.default else CheckpointPolicy.PREFER_RECOMPUTE


def save_sines_as_bool(context, operator, *args, **kwargs):
    return operator is aten.sin.default


@pytest.mark.parametrize(
    ("policy", "recomputed"),
    [
        ([aten.mm.default], {"sin": 1, "exp": 1, "mm": 0}),
        ([], {"sin": 1, "exp": 1, "mm": 2}),
        (save_sines, {"sin": 0, "exp": 1, "mm": 2}),
        (save_sines_as_bool, {"sin": 0, "exp": 1, "mm": 2}),
    ],
)
def test_only_operators_that_the_policy_does_not_save_run_again(x, policy, recomputed):
    (expected,) = fb.autograd.grad(compute(x).sum(), x)
    with Calls():  # the backward pass calls operators from Python only if a mode was active in the forward pass
        plain = compute(x).sum()
    with Calls() as needed:
        fb.autograd.grad(plain, x)
    y = run_selectively(compute, x, policy).sum()
    with Calls() as calls:
        (gradient,) = fb.autograd.grad(y, x)
    assert gradient.flatten().tolist() == pytest.approx(expected.flatten().tolist(), rel=1e-12)
    repeated = {
        name: sum(each.names.count(f"aten.{name}.default") * sign for each, sign in ((calls, 1), (needed, -1)))
        for name in recomputed
    }
    assert repeated == recomputed


def test_the_policy_receives_the_results_and_arguments_of_the_forward_pass_only(x):
    received = []

    def policy(context, operator, *args, **kwargs):
        received.append((str(operator), context.is_recompute, context.op_output.tolist(), [a.tolist() for a in args]))
        return CheckpointPolicy.PREFER_RECOMPUTE

    run_selectively(fb.exp, x, policy).sum().backward()
    assert received == [("aten.exp.default", False, x.exp().tolist(), [x.tolist()])]


def test_a_second_backward_pass_raises(x):
    y = run_selectively(compute, x, [aten.mm.default]).sum()
    y.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="Trying to backward an extra time"):
        y.backward()


def test_a_saved_result_must_not_be_changed_in_place(x):
    def change(x):
        product = x @ x
        result = product.sin()
        product.add_(1)
        return result

    with pytest.raises(RuntimeError, match="has been mutated"):
        run_selectively(change, x, [aten.mm.default]).sum().backward()
    run_selectively(change, x, [aten.mm.default], allow_cache_entry_mutation=True).sum().backward()


def test_a_recomputation_that_calls_other_operators_raises(x):
    functions = iter([fb.sin, fb.exp])
    y = run_selectively(lambda t: next(functions)(t), x, [aten.mm.default])
    with pytest.raises(RuntimeError, match=r"call 0 of aten\.exp\.default in the recomputation has no counterpart"):
        y.sum().backward()


def test_arguments_that_are_not_overloads_or_functions_are_rejected(x):
    with pytest.raises(ValueError, match=r"an overload such as ops\.aten\.mm\.default"):
        create_selective_checkpoint_contexts([aten.mm])
    with pytest.raises(TypeError, match="either a function or a list of ops"):
        create_selective_checkpoint_contexts(3)
    with pytest.raises(NotImplementedError, match="MUST_CPU_OFFLOAD"):
        run_selectively(fb.sin, x, lambda *args, **kwargs: CheckpointPolicy.MUST_CPU_OFFLOAD)
