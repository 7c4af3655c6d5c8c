"""``__torch_function__`` handles functions that consist of operators. Note [Overridable functions]."""

import subprocess
import sys
from types import FunctionType

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn import functional as F

FUNCTIONS = {name: getattr(F, name) for name in F.__all__ if type(getattr(F, name)) is not type(fb.add)}
FUNCTIONS |= {f"init.{name}": getattr(nn.init, name) for name in ("uniform_", "normal_", "kaiming_uniform_")}
FUNCTIONS |= {f"flambeau.{name}": getattr(fb, name) for name in ("kl_div", "ctc_loss", "adaptive_max_pool1d")}


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def seen():
    return []


@pytest.fixture
def recorder(seen):
    class Recorder(fb.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            seen.append((func, types, args, kwargs))
            return "handled"

    yield fb.ones(2).as_subclass(Recorder)
    fb._core._forget_overrides(Recorder)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_class_receives_the_function_and_the_arguments_of_the_call(name, recorder, seen):
    assert FUNCTIONS[name](1, [recorder], mode=3) == "handled"
    [(func, types, args, kwargs)] = seen
    assert func is FUNCTIONS[name] and types == (type(recorder),)
    assert args[0] == 1 and args[1][0] is recorder and kwargs == {"mode": 3}


def test_a_handler_that_calls_the_function_gets_its_result():
    calls = []

    class Logged(fb.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            calls.append(func)
            return super().__torch_function__(func, types, args, kwargs)

    x = fb.randn(3, 4)
    result = F.dropout(F.layer_norm(x.as_subclass(Logged), (4,)), 0.5, training=False)
    assert type(result) is Logged and calls == [F.layer_norm, F.dropout]
    with fb.overrides.DisableTorchFunctionSubclass():
        assert fb.equal(result, F.layer_norm(x, (4,)))


def test_a_class_that_is_not_a_tensor_is_handled_after_an_operator_received_it():
    class Length:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return func

    assert fb.relu(Length()) is fb.relu
    for function in (F.softmax, F.normalize, F.l1_loss, F.group_norm):
        assert function(Length(), 1) is function


def test_a_mode_handles_the_functions_only_while_it_is_active():
    code = """
import inspect
import flambeau as fb
from flambeau.nn import functional as F
from flambeau.overrides import TorchFunctionMode
calls = []
class Recording(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        calls.append(func)
        return func(*args, **(kwargs or {}))
code, x = F.softmax.__code__, fb.randn(3)
expected, handled = F.softmax(x, 0), []
with Recording():
    with Recording():
        handled += [F.softmax(x, 0), F.mse_loss(x, x), F.max_pool1d_with_indices(x[None], 2)[0]]
    assert F.softmax.__code__ is not code and "dim" in inspect.signature(F.softmax).parameters
assert calls == 2 * [F.softmax] + 2 * [F.mse_loss] + calls[4:6] + 2 * [F.max_pool1d_with_indices], calls
assert F.softmax.__code__ is code and not hasattr(F.softmax, "__wrapped__")
assert fb.equal(handled[0], expected) and fb.equal(F.softmax(x, 0), expected) and len(calls) == 8
"""
    run(code)


def test_threads_enter_and_leave_modes_at_the_same_time():
    run(
        """
import os, sys, threading
import flambeau as fb
from flambeau.nn import functional as F
from flambeau.overrides import TorchFunctionMode
sys.setswitchinterval(1e-6)
wrong = []
class Recording(TorchFunctionMode):
    def __init__(self):
        self.seen = []
    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.seen.append(func)
        return func(*args, **(kwargs or {}))
def use(x):
    for _ in range(100):
        with Recording() as mode:
            F.softmax(x, 0)
        F.softmax(x, 0)
        if mode.seen != [F.softmax]:
            wrong.append(mode.seen)
code, x = F.softmax.__code__, fb.ones(3)
threads = [threading.Thread(target=use, args=(x,)) for _ in range(4)]
for thread in threads: thread.start()
children = [os.fork()]
if children == [0]:
    with Recording() as mode:
        F.softmax(x, 0)
    os._exit(mode.seen != [F.softmax])
for thread in threads: thread.join()
assert os.waitpid(children[0], 0)[1] == 0 and not wrong, wrong
assert F.softmax.__code__ is code
"""
    )


def test_overridable_functions_raise_their_own_errors(recorder):
    with pytest.raises(TypeError, match="unexpected keyword argument 'dims'"):
        F.softmax(fb.ones(2), dims=0)
    with pytest.raises(ValueError, match="dropout probability"):
        F.dropout(fb.ones(2), 2.0)


def test_functions_of_nn_accept_sparse_tensors():
    pytest.importorskip("flambeau.sparse")
    x = fb.tensor([[0.0, -2.0], [3.0, 0.0]]).to_sparse()
    assert F.relu(x).to_dense().tolist() == [[0, 0], [3, 0]]


def test_autograd_grad_dispatches_to_objects_that_are_not_tensors(recorder, seen):
    pytest.importorskip("flambeau.autograd")
    assert fb.autograd.grad([recorder], fb.ones(2)) == "handled" and seen[0][0] is fb.autograd.grad


@pytest.mark.parametrize(
    ("module", "function"),
    [
        (nn.ReLU(), F.relu),
        (nn.LeakyReLU(), F.leaky_relu),
        (nn.BatchNorm1d(4), F.batch_norm),
        (nn.LayerNorm(4), F.layer_norm),
        (nn.Dropout(), F.dropout),
        (nn.CrossEntropyLoss(label_smoothing=0.1), F.cross_entropy),
        (nn.NLLLoss(ignore_index=1), F.nll_loss),
        (nn.MSELoss(), F.mse_loss),
    ],
    ids=lambda value: type(value).__name__,
)
def test_modules_call_the_functions_that_they_call_in_pytorch(module, function):
    calls, x = [], fb.rand(3, 4)
    given = [fb.tensor([0, 2, 1])] if function in (F.cross_entropy, F.nll_loss) else []
    given = [fb.rand(3, 4)] if function is F.mse_loss else given

    class Recorder(fb.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            calls.append(func)
            return super().__torch_function__(func, types, args, kwargs)

    fb.manual_seed(0)
    found = module(x.as_subclass(Recorder), *given)
    assert function in calls and type(found) is Recorder
    fb._core._forget_overrides(Recorder)
    fb.manual_seed(0)
    assert fb.equal(found, module(x, *given))


def test_all_functions_in_python_are_overridable():
    registered = fb._overridable._functions
    missing = [name for name in F.__all__ if isinstance(getattr(F, name), FunctionType)]
    missing = [name for name in missing if getattr(F, name) not in registered]
    assert not missing
