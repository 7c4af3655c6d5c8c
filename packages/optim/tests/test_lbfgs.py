"""LBFGS: its minimum, compared with SciPy's, its limits and its state."""

import numpy as np
import pytest
import scipy.optimize

import flambeau as fb
from flambeau import optim


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def closure_of(function, optimizer, *params):
    def closure():
        optimizer.zero_grad()
        values = [p.detach().numpy() for p in params]
        with np.errstate(all="ignore"):
            loss, grads = function(*values)
        for param, grad in zip(params, grads, strict=True):
            param.grad = fb.tensor(grad)
        closure.calls += 1
        return fb.tensor(loss)

    closure.calls = 0
    return closure


def valley(x):
    return rosenbrock(x), [scipy.optimize.rosen_der(x)]


def test_lbfgs_minimises_the_rosenbrock_function():
    x = fb.tensor(np.array([-1.2, 1.0, 0.5]))
    optimizer = optim.LBFGS([x], max_iter=200, line_search_fn="strong_wolfe", tolerance_change=1e-14)
    optimizer.step(closure_of(valley, optimizer, x))
    wanted = scipy.optimize.minimize(rosenbrock, [-1.2, 1.0, 0.5], method="L-BFGS-B", jac=scipy.optimize.rosen_der).x
    np.testing.assert_allclose(x.numpy(), np.ones(3), atol=1e-6)
    np.testing.assert_allclose(x.numpy(), wanted, atol=1e-3)


def test_lbfgs_minimises_a_quadratic_in_n_steps():
    A = np.diag([1.0, 4.0, 9.0]) + 0.5
    x, b = fb.tensor(np.zeros(2)), fb.tensor(np.zeros(1))

    def function(p, q):
        z = np.concatenate([p, q])
        return 0.5 * z @ A @ z - z.sum(), np.split(A @ z - 1, [2])

    optimizer = optim.LBFGS([x, b], max_iter=8, line_search_fn="strong_wolfe")
    optimizer.step(closure_of(function, optimizer, x, b))
    np.testing.assert_allclose(np.r_[x.numpy(), b.numpy()], np.linalg.solve(A, np.ones(3)), atol=1e-4)


def test_lbfgs_respects_its_limits_and_saves_its_state():
    x = fb.tensor(np.array([-1.2, 1.0]))
    optimizer = optim.LBFGS([x], lr=1e-3, max_iter=4, history_size=2)
    closure = closure_of(valley, optimizer, x)
    first = optimizer.step(closure)
    assert first.item() == pytest.approx(24.2) and closure.calls == 4
    state = optimizer.state[x]
    assert state["n_iter"] == 4 and state["func_evals"] == 4 and len(state["old_dirs"]) == 2
    saved = optimizer.state_dict()
    y = x.clone()
    other = optim.LBFGS([y])
    other.load_state_dict(saved)
    optimizer.step(closure)
    other.step(closure_of(valley, other, y))
    np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=1e-14)


def test_invalid_arguments_are_rejected():
    x, y = fb.ones(1), fb.ones(1)
    with pytest.raises(ValueError, match="parameter groups"):
        optim.LBFGS([{"params": [x]}, {"params": [y]}])
    with pytest.raises(TypeError, match="closure"):
        optim.LBFGS([x]).step()
    with pytest.raises(RuntimeError, match="strong_wolfe"):
        optim.LBFGS([x], line_search_fn="armijo").step(lambda: fb.tensor(0.0))


def test_lbfgs_stops_at_a_gradient_of_zeros_for_any_tolerance():
    param = fb.ones(2)
    optimizer = optim.LBFGS([param], tolerance_grad=-1.0)
    assert optimizer.step(lambda: fb.tensor(3.0)) == 3.0
    assert param.tolist() == [1.0, 1.0]


def test_private_functions_of_the_line_search_have_the_signatures_of_pytorch():
    def objective(x, length, direction):
        at = x + length * direction
        return float(((at - 3) ** 2).sum()), 2 * (at - 3)

    x = fb.zeros(2)
    loss, gradient = objective(x, 0, x)
    found = optim.lbfgs._strong_wolfe(objective, x, 1.0, -gradient, loss, gradient, -float(gradient @ gradient))
    assert found[0] == 0 and found[2] == 0.5
    assert optim.lbfgs._cubic_interpolate(0.0, 1.0, -1.0, 1.0, 1.0, 1.0) == 0.5
    assert optim.lbfgs._cubic_interpolate(0.0, 1.0, -1.0, 1.0, 1.0, 1.0, bounds=(0.0, 0.2)) == 0.2


def test_subclasses_can_read_the_concatenated_gradients():
    first, second = fb.ones(2), fb.ones(1, 2)
    first.grad = fb.tensor([1.0, 2.0])
    assert optim.LBFGS([first, second])._gather_flat_grad().tolist() == [1.0, 2.0, 0.0, 0.0]
