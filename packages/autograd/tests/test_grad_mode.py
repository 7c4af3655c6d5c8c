"""no_grad, enable_grad, set_grad_enabled and inference_mode, as contexts and as decorators."""

import pickle
import threading

import numpy as np
import pytest

import flambeau as fb

OFF = [fb.no_grad, fb.inference_mode, lambda: fb.set_grad_enabled(False)]
ON = [fb.enable_grad, lambda: fb.inference_mode(False), lambda: fb.set_grad_enabled(True)]


@pytest.fixture
def x():
    return fb.tensor([1.0, 2.0], requires_grad=True)


@pytest.mark.parametrize("off", OFF)
def test_no_grad_records_no_operations(x, off):
    with off():
        y = x * 2
        assert not fb.is_grad_enabled()
    assert fb.is_grad_enabled()
    assert not y.requires_grad and y.is_leaf and y.grad_fn is None
    assert (x * 2).requires_grad


def test_numpy_of_tensors_that_require_grad_raises(x):
    with pytest.raises(RuntimeError, match="Can't call numpy"):
        x.numpy()
    with fb.no_grad():
        assert x.numpy().tolist() == np.asarray(x).tolist() == [1, 2]


@pytest.mark.parametrize("mode", [*OFF, *ON])
def test_modes_can_be_pickled(mode):
    kept = pickle.dumps(mode())
    fb.set_grad_enabled(True)
    inside = pickle.loads(kept)
    assert fb.is_grad_enabled()
    with inside:
        assert fb.is_grad_enabled() == (mode in ON)
    assert fb.is_grad_enabled()


@pytest.mark.parametrize("on", ON)
def test_enable_grad_records_within_no_grad(x, on):
    with fb.no_grad():
        with on():
            y = x * 2
        assert not (x * 2).requires_grad
    assert y.requires_grad


def test_the_mode_is_restored_after_an_exception():
    with pytest.raises(ZeroDivisionError), fb.no_grad():
        raise ZeroDivisionError
    assert fb.is_grad_enabled()


DECORATORS = {
    "no_grad": lambda: fb.no_grad,
    "no_grad()": fb.no_grad,
    "inference_mode()": fb.inference_mode,
    "set_grad_enabled(False)": lambda: fb.set_grad_enabled(False),
}


@pytest.mark.parametrize("make", DECORATORS.values(), ids=DECORATORS)
def test_grad_modes_decorate_functions(x, make):
    @make()
    def double(t):
        """Return 2 * t."""
        return t * 2

    assert fb.is_grad_enabled()
    assert not double(x).requires_grad
    assert double.__name__ == "double" and double.__doc__ == "Return 2 * t."
    assert fb.is_grad_enabled()


def test_a_decorated_function_may_call_itself(x):
    @fb.no_grad()
    def power(t, n):
        return t if n == 0 else t * power(t, n - 1)

    assert not power(x, 5).requires_grad and fb.is_grad_enabled()


def test_a_decorated_generator_does_not_change_the_mode_of_its_caller(x):
    @fb.no_grad()
    def steps():
        received = yield x * 1
        try:
            yield received * 2
        except ValueError:
            yield x * 3
        return "done"

    def outer():
        result = yield from steps()
        assert result == "done"

    run = outer()
    assert not next(run).requires_grad and fb.is_grad_enabled()
    assert not run.send(x).requires_grad and fb.is_grad_enabled()
    assert not run.throw(ValueError).requires_grad and fb.is_grad_enabled()
    assert list(run) == []


def test_closing_a_decorated_generator_runs_its_cleanup_in_the_mode(x):
    modes = []

    @fb.no_grad()
    def steps():
        try:
            yield x
        finally:
            modes.append(fb.is_grad_enabled())

    run = steps()
    next(run)
    run.close()
    assert modes == [False] and fb.is_grad_enabled()


def test_set_grad_enabled_changes_the_mode_if_called_as_a_function():
    fb.set_grad_enabled(False)
    assert not fb.is_grad_enabled()
    fb.set_grad_enabled(True)
    assert fb.is_grad_enabled()


def test_a_grad_mode_object_can_be_entered_again():
    mode = fb.no_grad()
    with mode:
        with mode:
            assert not fb.is_grad_enabled()
        assert not fb.is_grad_enabled()
    assert fb.is_grad_enabled()


def test_grad_mode_is_thread_local(x):
    seen = []
    with fb.no_grad():
        thread = threading.Thread(target=lambda: seen.append((fb.is_grad_enabled(), (x * 2).requires_grad)))
        thread.start()
        thread.join()
    assert seen == [(True, True)]


def test_leaves_can_be_changed_and_created_under_no_grad(x):
    with fb.no_grad():
        x += 1
        y = fb.zeros(2, requires_grad=True)
    assert x.tolist() == [2, 3] and x.is_leaf and x.requires_grad and y.requires_grad


def test_backward_runs_within_no_grad(x):
    y = (x * x).sum()
    with fb.no_grad():
        y.backward()
    assert x.grad.tolist() == [2, 4] and not x.grad.requires_grad


def test_repr_of_set_grad_enabled_shows_the_mode():
    with fb.set_grad_enabled(False) as _, fb.no_grad():
        pass
    mode = fb.set_grad_enabled(True)
    assert repr(mode) == "flambeau.set_grad_enabled(mode=True)"
