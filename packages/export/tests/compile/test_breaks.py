"""`flambeau.compile` of functions that cannot be one program: they are compiled in segments."""

import os
import random
import threading
import warnings

import pytest

import flambeau as fb
from flambeau import nn
from flambeau._compile import UnsupportedError
from flambeau._compile._segments import MAX_PATHS

from .counting_module import Counting


def segments(function):
    return [text for program in function.captured for text, _ in program.graphs]


def branches_on_a_sum(x):
    y = x * 2 + 1
    return y.tanh() + x.shape[0] if y.sum() > 0 else -y


def halves_until_small(x):
    steps = 0
    while x.abs().max() > 1:
        x = x / 2
        steps += 1
    return x, steps


def reads_a_list(x):
    counts = (x > 0).sum(1).tolist()
    return [row[:count] for row, count in zip(x, counts, strict=True)]


def uses_item_in_python(x):
    n = int((x > 0).sum())
    return fb.ones(n) * x.sum(), "many" if n > 2 else "few"


def compares_tensors(x):
    return x + 1 if fb.equal(x, x.abs()) else x - 1


def draws_around_a_branch(x):
    y = x + fb.randn_like(x)
    return nn.functional.dropout(y, 0.5) if y.sum() > 0 else y * fb.rand(())


def changes_a_local_tensor(x):
    y = x.clone()
    y.add_(1)
    if y.sum() > 0:
        y.mul_(2)
    return y, y.view(-1)


BRANCHING = [
    branches_on_a_sum, halves_until_small, reads_a_list, uses_item_in_python, compares_tensors, draws_around_a_branch,
    changes_a_local_tensor,
]  # fmt: skip


def same(a, b):
    if isinstance(a, fb.Tensor):
        return fb.equal(a, b) and a.requires_grad == b.requires_grad
    if isinstance(a, tuple | list):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return a == b and type(a) is type(b)


@pytest.mark.parametrize("function", BRANCHING, ids=lambda f: f.__name__)
@pytest.mark.parametrize("with_gradients", [False, True])
def test_functions_that_read_elements_are_compiled_in_segments(function, with_gradients):
    compiled = fb.compile(function)
    for call in range(12):
        fb.manual_seed(call % 4)
        x = fb.randn(2 + call % 2, 4) * (1 + call % 3)
        given = [x.clone().requires_grad_(with_gradients) for _ in range(2)]
        results = []
        for run, argument in zip((function, compiled), given, strict=True):
            fb.manual_seed(call)
            results.append(run(argument))
        assert same(*results), call
        if with_gradients:
            for result in results:
                leaf = result if isinstance(result, fb.Tensor) else result[0]
                leaf.square().sum().backward()
            assert fb.equal(given[0].grad, given[1].grad)
    assert compiled.failures == [] and len(segments(compiled)) >= 2
    with pytest.raises(UnsupportedError, match=r"test_breaks.py:\d+: .* \(fullgraph=True\)"):
        fb.compile(function, fullgraph=True)(fb.ones(2, 4))


def test_each_outcome_of_a_branch_is_captured_once():
    runs = []

    def f(x):
        runs.append  # noqa: B018, the list is reachable
        return x * 2 if x.sum() > 0 else x * 3

    compiled = fb.compile(f)
    for value in (1.0, -1.0) * 5:
        x = fb.full((3,), value)
        assert fb.equal(compiled(x), f(x))
    (tree,) = compiled.captured
    assert tree.root.paths == 2 and len(segments(compiled)) == 3  # both paths share the first segment


def test_compiled_results_alias_inputs_as_the_function_does():
    def f(x):
        view = x[0]
        if x.sum() > 0:
            return x, view
        return view, x.t()

    compiled = fb.compile(f)
    for value in (1.0, -1.0, 1.0, -1.0):
        x = fb.full((2, 2), value)
        result = compiled(x)
        assert result[0].data_ptr() == x.data_ptr() and result[1].data_ptr() == x.data_ptr()
        assert (result[0] is x) == (value > 0)


def test_an_argument_changed_before_a_branch_is_changed_once():
    def f(x):
        x.add_(1)
        return x * 2 if x.sum() > 0 else x * 3

    compiled = fb.compile(f)
    for value in (1.0, -5.0, 1.0, -5.0):
        x, y = fb.full((2,), value), fb.full((2,), value)
        assert fb.equal(compiled(x), f(y)) and fb.equal(x, y)
    assert "after an in-place change of a tensor" in compiled.failures[0]


def test_a_change_of_an_argument_after_a_branch_is_captured():
    def f(x):
        if x.sum() > 0:
            x.add_(1)
        return x * 2

    compiled = fb.compile(f)
    for value in (1.0, -5.0, 1.0, -5.0):
        x, y = fb.full((2,), value), fb.full((2,), value)
        assert fb.equal(compiled(x), f(y)) and fb.equal(x, y)
    assert compiled.failures == [] and len(compiled.captured) == 1


def test_print_in_a_compiled_function_runs_once_per_call(capsys):
    def f(x):
        y = x * 2
        print("sizes", y.shape, f"{x.shape[0]:>3}", y)
        return y + 1 if y.sum() > 0 else y - 1

    compiled = fb.compile(f)
    for value, n in ((1.0, 2), (-1.0, 2), (1.0, 3), (1.0, 2), (-1.0, 2)):
        x = fb.full((n,), value)
        expected = f(x)
        shown = capsys.readouterr().out
        assert fb.equal(compiled(x), expected)
        assert capsys.readouterr().out == shown
    assert compiled.failures == [] and len(segments(compiled)) >= 3
    with pytest.raises(UnsupportedError, match=r"test_breaks.py:\d+: a call of print cannot be captured"):
        fb.compile(f, fullgraph=True)(fb.ones(2))
    capsys.readouterr()


def test_disabled_functions_run_between_segments():
    seen = []

    @fb.compiler.disable(reason="it counts")
    def count(x, factor=1):
        seen.append(x.sum().item())
        return x + factor, len(seen) % 2 == 0

    def f(x):
        y, even = count(x * 2, factor=3)
        return y.tanh() if even else y.sin()

    compiled = fb.compile(f)
    for i in range(6):
        x = fb.full((2,), float(i))
        expected = x * 2 + 3
        assert fb.equal(compiled(x), expected.tanh() if i % 2 else expected.sin())
    assert seen == [4.0 * i for i in range(6)]  # once in each call
    assert compiled.failures == [] and compiled.captured[0].root.paths == 2
    with pytest.raises(UnsupportedError, match="is disabled for compilation: it counts"):
        fb.compile(f, fullgraph=True)(fb.ones(2))


def test_a_disabled_function_may_change_captured_variables():
    settings = {"factor": 1.0}

    @fb.compiler.disable
    def tune():
        settings["factor"] += 1

    def f(x):
        y = x * 2
        tune()
        return y * settings["factor"]

    compiled = fb.compile(f)
    for factor in (2.0, 3.0, 4.0, 5.0, 6.0):
        assert fb.equal(compiled(fb.ones(2)), fb.full((2,), 2 * factor))
    assert settings["factor"] == 6.0


def test_an_exception_between_segments_leaves_the_function_usable():
    calls = []

    @fb.compiler.disable
    def check(x):
        calls.append(1)
        if x.sum() > 5:
            raise KeyError("too large")
        return x + 1

    compiled = fb.compile(lambda x: check(x * 2) * 3)
    for value in (9.0, 1.0, 9.0, 1.0):
        if value > 5:
            with pytest.raises(KeyError, match="too large"):
                compiled(fb.full((2,), value))
        else:
            assert fb.equal(compiled(fb.full((2,), value)), fb.full((2,), 9.0))
    assert len(calls) == 4

    def fails(x):
        y = x * 2
        if y.sum() > 0:
            raise ValueError("positive")
        return y

    compiled = fb.compile(fails)
    for value in (-1.0, 1.0, -1.0, 1.0):
        if value > 0:
            with pytest.raises(ValueError, match="positive"):
                compiled(fb.full((2,), value))
        else:
            assert fb.equal(compiled(fb.full((2,), value)), fb.full((2,), -2.0))


def test_the_number_of_captured_paths_is_limited():
    compiled = fb.compile(lambda x: x * float(x.sum()))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for i in range(MAX_PATHS + 10):
            x = fb.full((2,), float(i))
            assert fb.equal(compiled(x), x * float(x.sum()))
    assert len(caught) == 1 and f"took {MAX_PATHS} different paths and runs uncompiled" in str(caught[0].message)
    assert compiled.captured == [] and "gives Python a value" in compiled.failures[0]


def test_formatted_sizes_do_not_become_constants():
    compiled = fb.compile(lambda x: (x + 1, f"{x.shape[0]}", str(x.shape)), fullgraph=True)
    for n in (2, 3, 2):
        assert compiled(fb.ones(n))[1:] == (str(n), str(fb.Size([n])))


def test_each_branch_guards_the_values_that_it_reads():
    settings = {"positive": 1.0, "negative": 1.0}

    def positive(x):
        return x * settings["positive"]

    def negative(x):
        return x * settings["negative"]

    compiled = fb.compile(lambda x: positive(x) if x.sum() > 0 else negative(x))
    for value in (1.0, -1.0):
        compiled(fb.full((1,), value))
    settings["negative"] = 3.0
    assert fb.equal(compiled(fb.full((1,), -1.0)), fb.full((1,), -3.0))


def test_random_branching_functions_equal_eager_mode():
    for seed in range(30):
        draw = random.Random(seed)
        parts = [(draw.choice(["add", "mul", "sub"]), draw.uniform(-2, 2), draw.uniform(-3, 3)) for _ in range(4)]

        def f(x, parts=parts):
            for name, number, limit in parts:
                x = getattr(x, name)(number)
                if x.mean() > limit:
                    x = x.tanh() * number
                elif x.min() > limit:
                    return x.sin(), name
            return x, None

        compiled = fb.compile(f)
        for call in range(10):
            fb.manual_seed(seed * 100 + call)
            x = fb.randn(3 + call % 2) * 3
            assert same(compiled(x), f(x)), seed


def test_threads_share_a_branching_function_and_a_module():
    model = Counting()
    compiled = fb.compile(branches_on_a_sum), fb.compile(model)
    expected = Counting()
    expected.load_state_dict(model.state_dict())
    failures = []

    def work(seed):
        for i in range(40):
            x = fb.full((2 + (seed + i) % 3, 4), (-1.0) ** i * (seed + 1))
            if not fb.equal(compiled[0](x), branches_on_a_sum(x)):
                failures.append((seed, i))
            if not fb.equal(compiled[1].first(x), expected.first(x)):
                failures.append((seed, i, "module"))
            compiled[1](x)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert not nn.modules._hooks.GLOBAL_HOOKS  # no global hook remains, which would slow modules down


def test_a_recursive_function_is_compiled():
    @fb.compile
    def power(x, n):
        return fb.ones_like(x) if n == 0 else x * power(x, n - 1)

    for _ in range(3):
        assert fb.equal(power(fb.full((2,), 2.0), 5), fb.full((2,), 32.0))

    @fb.compile
    def halve(x):
        return halve(x / 2) if x.sum() > 1 else x

    for _ in range(3):
        assert fb.equal(halve(fb.full((2,), 8.0)), fb.full((2,), 0.5))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_uses_the_compiled_programs():
    compiled = fb.compile(branches_on_a_sum)
    for value in (1.0, -1.0):
        compiled(fb.full((3,), value))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork of a process with threads
        child = os.fork()
    if child == 0:
        good = all(
            fb.equal(compiled(x), branches_on_a_sum(x)) for x in (fb.full((n,), v) for n in (3, 4) for v in (2.0, -2.0))
        )
        os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_with_dynamic_false_paths_for_other_sizes_are_kept():
    runs = []

    @fb.compiler.assume_constant_result
    def count():
        runs.append(len(runs))

    def f(x):
        count()
        return x + 1 if x.sum() > 0 else x - 1

    compiled = fb.compile(f, dynamic=False)
    for given in (fb.ones(2), -fb.ones(3), -fb.ones(3), fb.ones(2)):
        assert fb.equal(compiled(given), given + (1 if given.sum() > 0 else -1))
    assert len(runs) == 2  # one capture for each size
