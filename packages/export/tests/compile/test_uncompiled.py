"""Functions that `flambeau.compile` runs uncompiled, because no program represents them."""

import random
import warnings

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau._compile import UnsupportedError
from flambeau._compile._function import MAX_CHANGES
from flambeau.utils import _pytree as pytree

from .captured_programs import captures, programs_of


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x + self.calls


def draws_in_python(x):
    return x * random.random()


def draws_in_numpy(x):
    return x * float(np.random.rand())


def sets_a_hook(x):
    y = x * 2
    if y.requires_grad:
        y.register_hook(lambda g: g * 3)
    return y


def uses_numpy(x):
    return fb.from_numpy(x.detach().numpy() * 2)


def differentiates(x):
    (gradient,) = fb.autograd.grad((x * x).sum(), x)
    return gradient


def draws_with_a_generator(x):
    return x + fb.randn(x.shape, generator=fb.Generator().manual_seed(1))


UNSUPPORTED = {
    draws_in_python: "random",
    draws_in_numpy: "random numbers from Python's random or numpy.random",
    sets_a_hook: "register_hook",
    uses_numpy: "numpy gives Python a value",
    differentiates: "only with Tensor.backward()",
    draws_with_a_generator: "default generator",
}


@pytest.mark.parametrize("function", UNSUPPORTED, ids=lambda f: f.__name__)
def test_unsupported_functions_run_uncompiled(function):
    compiled = fb.compile(function)
    strict = fb.compile(function, fullgraph=True)
    for value in (1.0, -2.0, 3.0):
        x = fb.full((3,), value, requires_grad=True)

        def result(call, x=x):
            random.seed(0)
            np.random.seed(0)
            return call(x)

        assert fb.equal(result(compiled), result(function))
    assert captures(compiled) == 0
    assert UNSUPPORTED[function] in compiled.failures[0]
    with pytest.raises(UnsupportedError, match="fullgraph=True"):
        strict(x)


def test_a_function_that_changes_python_objects_runs_uncompiled():
    model = Counter()
    compiled = fb.compile(model)
    assert [compiled(fb.zeros(1)).item() for _ in range(5)] == [1, 2, 3, 4, 5]
    assert programs_of(compiled) == [] and "changes a Python object" in compiled.programs.failures[0]


def test_a_function_that_changes_objects_is_not_captured_again():
    class Keys:
        def __init__(self):
            self.found = []

    runs = []
    compiled = fb.compile(
        lambda x, keys: (runs.append(1) if fb.compiler.is_compiling() else None, keys.found.append(x))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(20):
            keys = Keys()
            compiled(fb.ones(1), keys)
            assert len(keys.found) == 1
    assert len(runs) == MAX_CHANGES


def test_fullgraph_raises_at_each_call_of_a_function_that_always_changes_objects():
    calls = []
    compiled = fb.compile(lambda x: (calls.append(1), x * 2)[1], fullgraph=True)
    for _ in range(MAX_CHANGES - 1):
        compiled(fb.ones(1))
    for _ in range(3):
        with pytest.raises(UnsupportedError, match="changes a Python object"):
            compiled(fb.ones(1))


def test_a_cache_that_the_first_call_fills_is_captured_afterwards():
    class Cached(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = None

        def forward(self, x):
            if self.table is None:
                self.table = fb.arange(3.0)
            return x + self.table

    compiled = fb.compile(Cached())
    for _ in range(3):
        assert fb.equal(compiled(fb.ones(3)), fb.arange(3.0) + 1)
    assert len(programs_of(compiled)) == 1 and compiled.programs.failures == []


def test_a_result_that_cannot_be_recreated_is_not_compiled():
    compiled = fb.compile(lambda x: (x + 1, iter([x])))
    for _ in range(2):
        assert fb.equal(next(compiled(fb.ones(1))[1]), fb.ones(1))
    assert "returns a list_iterator" in compiled.failures[0]


def test_the_number_of_captures_is_limited():
    compiled = fb.compile(lambda x, n: x * n)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for n in range(20):
            assert fb.equal(compiled(fb.ones(2), n), fb.full((2,), float(n)))
    assert captures(compiled) == 8
    assert len(caught) == 1 and "was captured 8 times and runs uncompiled" in str(caught[0].message)


def test_functions_run_uncompiled_inside_transforms_and_modes():
    def f(x):
        return (x * 2).sin()

    compiled = fb.compile(f)
    compiled(fb.ones(3))
    x = fb.randn(4, 3)
    assert fb.allclose(fb.func.vmap(compiled)(x), f(x))
    assert fb.allclose(fb.func.grad(lambda v: compiled(v).sum())(x[0]), (x[0] * 2).cos() * 2)
    with fb.autocast("cpu", dtype=fb.bfloat16):
        assert fb.compile(lambda a: a @ a)(fb.ones(2, 2)).dtype == fb.bfloat16
    seen = []

    class Watch(fb.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append(func.__name__)
            return func(*args, **(kwargs or {}))

    with Watch():
        compiled(x)
    assert seen == ["mul", "sin"]


def test_functions_run_uncompiled_for_tensor_subclasses():
    class Logged(fb.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return super().__torch_function__(func, types, args, kwargs or {})

    compiled = fb.compile(lambda x: x * 2 + 1)
    compiled(fb.ones(2))
    assert type(compiled(fb.ones(2).as_subclass(Logged))) is Logged


def sets_an_item(batch):
    batch["y"] = batch["x"] * 2
    return batch["y"]


def replaces_an_item(batch):
    batch["x"] = batch["x"] + 1


def appends(batch):
    batch["list"].append(batch["x"] + 1)


def returns_the_argument(batch):
    return batch["x"] * 2, [batch["list"]]


@pytest.mark.parametrize("function", [sets_an_item, replaces_an_item, appends, returns_the_argument])
def test_changed_and_returned_containers_are_those_of_the_caller(function):
    compiled, x = fb.compile(function), fb.ones(2)
    for _ in range(4):
        found, expected = ({"x": x, "list": [x]} for _ in range(2))
        result, wanted = compiled(found), function(expected)
        for one, other in ((result, wanted), (found, expected)):
            leaves, structure = pytree.tree_flatten(one)
            others, of_others = pytree.tree_flatten(other)
            assert structure == of_others and all(a is b or fb.equal(a, b) for a, b in zip(leaves, others, strict=True))
        if function is returns_the_argument:
            assert result[1][0] is found["list"]
    assert captures(compiled) == 0


def test_a_warning_says_that_a_function_of_containers_runs_uncompiled():
    compiled = fb.compile(sets_an_item, fullgraph=True)
    with pytest.warns(
        UserWarning, match=r"sets_an_item runs uncompiled in spite of fullgraph=True: .* \(argument that"
    ):
        compiled({"x": fb.ones(1)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batch = {"x": fb.ones(1)}
        assert compiled(batch) is batch["y"]


def test_classes_that_are_not_tensors_are_compiled():
    class Wrapped:
        def __init__(self, value):
            self.value = value

        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return cls(func([each.value for each in args[0]], *args[1:]))

    def f(x, y):
        return fb.cat([Wrapped(x), Wrapped(y)], 0).value + 1

    compiled = fb.compile(f, fullgraph=True)
    for value in (1.0, 2.0):
        x, y = fb.full((2,), value), fb.ones(3)
        assert fb.equal(compiled(x, y), f(x, y))
    assert captures(compiled) == 1


def test_a_registered_class_that_creates_its_leaves_is_compiled():
    class Scaled:
        def __init__(self, value):
            self.value = value

    pytree.register_pytree_node(Scaled, lambda s: ([s.value * 1], None), lambda leaves, _: Scaled(leaves[0]))
    compiled = fb.compile(lambda scaled, x: x + 1, fullgraph=True)
    for _ in range(2):
        assert compiled(Scaled(fb.ones(1)), fb.ones(1)).item() == 2
    assert captures(compiled) == 1


def test_functions_that_catch_an_exception_of_an_operator_run_uncompiled():
    def f(x):
        try:
            return x + fb.ones(4)
        except RuntimeError:
            return x * 0

    compiled = fb.compile(f)
    assert [compiled(fb.ones(3)).sum().item(), compiled(fb.ones(4)).sum().item()] == [0.0, 8.0]
    assert any("add raised RuntimeError" in reason for reason in compiled.failures)
    with pytest.raises(UnsupportedError, match="add raised RuntimeError"):
        fb.compile(f, fullgraph=True)(fb.ones(3))


def test_functions_of_inference_tensors_are_captured():
    compiled = fb.compile(lambda x: (x * 2).tanh())
    with fb.inference_mode():
        for size in (3, 4):
            x = fb.rand(size)
            assert fb.equal(compiled(x), (x * 2).tanh())
    assert len(compiled.captured) == 1


def test_functions_that_enable_autocast_for_their_caller_run_uncompiled():
    def f(x):
        fb.set_autocast_enabled("cpu", True)
        return x @ x

    compiled = fb.compile(f)
    try:
        assert compiled(fb.ones(2, 2)).dtype == fb.bfloat16
        assert fb.is_autocast_enabled("cpu")
    finally:
        fb.set_autocast_enabled("cpu", False)
    assert compiled.failures == ["the function changes the autocast mode of its caller"]


def test_autocast_regions_inside_a_function_are_captured():
    def f(x, y):
        with fb.autocast("cpu"):
            low = x @ y
            with fb.autocast("cpu", enabled=False):
                high = x @ y
            losses = fb.nn.functional.mse_loss(low, y), fb.cat([low, x])
        return low, high, *losses, x @ y

    x, y = fb.randn(4, 4), fb.randn(4, 4)
    compiled = fb.compile(f, fullgraph=True)
    for _ in range(2):
        for found, expected in zip(compiled(x, y), f(x, y), strict=True):
            assert found.dtype == expected.dtype and fb.equal(found, expected)


def seeds(x):
    fb.manual_seed(5)
    return x * fb.rand(2)


def forks(x):
    with fb.random.fork_rng():
        fb.manual_seed(1)
        return x * fb.rand(2)


@pytest.mark.parametrize("function", [seeds, forks])
def test_functions_that_set_the_seed_run_uncompiled(function):
    compiled = fb.compile(function)
    first = compiled(fb.ones(2))
    fb.rand(3)
    assert fb.equal(compiled(fb.ones(2)), first)
    assert "sets the seed" in compiled.failures[0]


def test_functions_that_change_the_grad_mode_of_their_caller_run_uncompiled():
    def f(x):
        fb.set_grad_enabled(False)
        return x * 2

    compiled = fb.compile(f)
    for _ in range(3):
        with fb.enable_grad():
            compiled(fb.ones(1))
            assert not fb.is_grad_enabled()


def test_functions_that_read_a_python_attribute_of_an_argument_run_uncompiled():
    compiled = fb.compile(lambda x: x * x.scale)
    x = fb.ones(1)
    for x.scale in (2.0, 3.0):
        assert compiled(x).item() == x.scale


def test_a_program_raises_the_exception_of_its_function():
    compiled = fb.compile(lambda x: x.view(3, -1) + 1)
    compiled(fb.ones(3))
    with pytest.raises(RuntimeError, match="shape"):
        compiled(fb.ones(4))
    assert compiled(fb.ones(6)).shape == (3, 2)


def test_functions_catch_the_exceptions_of_later_calls():
    def f(x):
        try:
            return x.view(3, -1)
        except RuntimeError:
            return x * 0

    compiled = fb.compile(f)
    assert [compiled(fb.ones(size)).sum().item() for size in (3, 4, 6)] == [3.0, 0.0, 6.0]


def test_in_place_view_operators_change_the_shape_of_an_argument_in_each_call():
    compiled = fb.compile(lambda x: x.t_() * 2)
    for _ in range(2):
        x = fb.ones(2, 3)
        assert compiled(x).shape == x.shape == (3, 2)


def test_results_that_are_created_in_inference_mode_are_inference_tensors():
    def f(x):
        with fb.inference_mode():
            return x * 2

    compiled = fb.compile(f)
    assert all(compiled(fb.ones(1)).is_inference() for _ in range(3))


@pytest.mark.parametrize("name", ["exp", "sqrt"])
def test_operators_with_out_of_a_wider_dtype_compute_in_this_dtype(name):
    def f(x):
        return getattr(fb, name)(x, out=fb.empty(3)) * 1

    compiled, x = fb.compile(f), fb.rand(3).bfloat16()
    for _ in range(2):
        assert fb.equal(compiled(x), f(x))


def test_casts_of_parameters_end_with_the_autocast_region():
    weight = nn.Parameter(fb.ones(2, 2))

    def f(x):
        with fb.autocast("cpu"):
            before = x @ weight
        weight.data.add_(1)
        with fb.autocast("cpu"):
            return before, x @ weight

    compiled = fb.compile(f)
    for start in (1.0, 2.0):
        assert [result[0, 0].item() for result in compiled(fb.ones(2, 2))] == [2 * start, 2 * start + 2]


def test_disabled_functions_run_in_the_autocast_region_of_their_call():
    square = fb.compiler.disable(lambda x: x @ x)

    def f(x):
        with fb.autocast("cpu"):
            return square(x)

    compiled = fb.compile(f)
    assert [compiled(fb.ones(2, 2)).dtype for _ in range(3)] == [fb.bfloat16] * 3
