"""L-BFGS, a limited-memory quasi-Newton method with an optional line search."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import flambeau
from flambeau import Tensor

from .optimizer import Optimizer, check_nonnegative, options

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """L-BFGS optimizer (limited-memory BFGS), which estimates the inverse Hessian from the last steps.

    ``step(closure)`` needs a closure that clears the gradients, computes the loss, calls ``backward()`` and returns the
    loss. ``step`` calls the closure several times; ``max_eval`` limits the number. All parameters are in one group.

    Args:
        params: the parameters.
        lr: step length, or initial step length of the line search.
        max_iter: maximum number of iterations in one call of ``step``.
        max_eval: maximum number of evaluations of the closure in one call of ``step``; ``max_iter * 5 / 4`` by default.
        tolerance_grad: the iteration stops if no element of the gradient has a larger magnitude.
        tolerance_change: the iteration stops if the parameters or the loss change by less than this value.
        history_size: number of steps in the history.
        line_search_fn: ``"strong_wolfe"``, or None for steps of length ``lr``.
    State: ``func_evals``, ``n_iter`` and the history, which are stored as the state of the first parameter.
    Raises: ValueError for several groups; RuntimeError for an unknown line search.
    Source: Liu, Nocedal 1989, Mathematical Programming 45; Nocedal, Wright 2006, algorithms 7.4, 3.5 and 3.6.

    >>> x = fb.zeros(1)
    >>> optimizer = fb.optim.LBFGS([x], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     x.grad = 2 * (x - 3)
    ...     return ((x - 3) ** 2).sum()
    >>> loss = optimizer.step(closure)
    >>> x
    tensor([3.])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_nonnegative(lr=lr)
        if max_eval is None:
            max_eval = max_iter * 5 // 4
        super().__init__(params, options(locals()))
        if len(self.param_groups) != 1:
            raise ValueError(
                "LBFGS doesn't support per-parameter options (parameter groups): expected one group, got "
                f"{len(self.param_groups)}"
            )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Run up to ``max_iter`` iterations. ``closure`` is required and computes the loss and the gradients."""
        if closure is None:
            raise TypeError("LBFGS.step() missing 1 required positional argument: 'closure'")
        group = self.param_groups[0]
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise RuntimeError(f"only 'strong_wolfe' is supported as line_search_fn, got {group['line_search_fn']!r}")
        state = self.state[group["params"][0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        objective = _Objective(group["params"], closure)
        first = objective.loss()
        loss, gradient = float(first), objective.gradient()
        state["func_evals"] += 1
        if not _largest(gradient) <= group["tolerance_grad"]:
            with flambeau.no_grad():
                self._descend(group, state, objective, loss, gradient)
        return first

    def _gather_flat_grad(self) -> Tensor:
        """Return the concatenated gradients of all parameters. Subclasses of other packages call this method."""
        return _flat_gradient(self.param_groups[0]["params"])

    def _descend(
        self, group: dict[str, Any], state: dict[str, Any], objective: _Objective, loss: float, gradient: Tensor
    ) -> None:
        """Run the iterations of one step, until the limits or tolerances are reached."""
        evaluations, searching = 1, group["line_search_fn"] is not None
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            direction = _direction(state, gradient, group["history_size"])
            length: Any = group["lr"]
            if state["n_iter"] == 1:
                total = float(gradient.abs().sum())  # the sum can be 0 if tolerance_grad is negative
                length = min(1.0, 1.0 / total) * group["lr"] if total else group["lr"]
            state.update(d=direction, t=length, prev_flat_grad=gradient, prev_loss=loss)
            slope = float(gradient @ direction)
            if slope > -group["tolerance_change"]:
                break
            before, calls = loss, 0
            if searching:
                start = _Point(0.0, loss, gradient, slope)
                found, calls = _search(objective.at, direction, length, start, _SearchOptions())
                length, loss, gradient = found.length, found.loss, found.gradient
                objective.move(length, direction)
            else:
                objective.move(length, direction)
                if iteration != group["max_iter"]:
                    loss, gradient, calls = float(objective.loss()), objective.gradient(), 1
            state["t"] = length
            evaluations += calls
            state["func_evals"] += calls
            if (
                evaluations >= group["max_eval"]
                or _largest(gradient) <= group["tolerance_grad"]
                or _largest(direction * length) <= group["tolerance_change"]
                or abs(loss - before) < group["tolerance_change"]
            ):
                break


class _Objective:
    """Loss as a function of the concatenated parameters."""

    def __init__(self, params: list[Tensor], closure: Callable[[], Any]) -> None:
        self.params, self.closure = params, closure

    def loss(self) -> Any:
        with flambeau.enable_grad():
            return self.closure()

    def gradient(self) -> Tensor:
        return _flat_gradient(self.params)

    def move(self, length: float, direction: Tensor) -> None:
        start = 0
        for param in self.params:
            values = _real(param.detach())
            stop = start + values.numel()
            values.add_(direction[start:stop].reshape(values.shape), alpha=length)
            start = stop

    def at(self, length: float, direction: Tensor) -> _Point:
        """Compute the loss and the gradient at ``parameters + length * direction``. Restore the parameters."""
        kept = [param.detach().clone() for param in self.params]
        self.move(length, direction)
        loss, gradient = float(self.loss()), self.gradient()
        for param, value in zip(self.params, kept, strict=True):
            param.detach().copy_(value)
        return _Point(length, loss, gradient, float(gradient @ direction))


def _flat_gradient(params: list[Tensor]) -> Tensor:
    """Return the concatenated gradients of the parameters, with zeros for missing gradients."""
    parts = [flambeau.zeros_like(p.detach()) if p.grad is None else p.grad.detach() for p in params]
    parts = [part.to_dense() if part.is_sparse else part for part in parts]
    return flambeau.cat([_real(part).reshape(-1) for part in parts])


def _real(values: Tensor) -> Tensor:
    return flambeau.view_as_real(values) if values.is_complex() else values


def _largest(values: Tensor) -> float:
    return float(values.abs().max()) if values.numel() else 0.0


def _direction(state: dict[str, Any], gradient: Tensor, history: int) -> Tensor:
    """Append the last step and the last change of the gradient to the history. Return the search direction."""
    if state["n_iter"] == 1:
        state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
        return -gradient
    changes, steps, weights = state["old_dirs"], state["old_stps"], state["ro"]
    change, step = gradient - state["prev_flat_grad"], state["d"] * state["t"]
    curvature = change @ step
    if curvature > 1e-10:
        if len(changes) == history:
            for remembered in (changes, steps, weights):
                del remembered[0]
        changes.append(change)
        steps.append(step)
        weights.append(1.0 / curvature)
        state["H_diag"] = curvature / (change @ change)
    result: Tensor = -gradient
    shares = []
    for change, step, weight in zip(reversed(changes), reversed(steps), reversed(weights), strict=True):
        shares.append((step @ result) * weight)
        result = result - change * shares[-1]
    result = result * state["H_diag"]
    for change, step, weight, share in zip(changes, steps, weights, reversed(shares), strict=True):
        result = result + step * (share - (change @ result) * weight)
    return result


# The line search


class _Point(NamedTuple):
    """Point on the search line: step length, loss, gradient and slope."""

    length: float
    loss: float
    gradient: Tensor
    slope: float


class _SearchOptions(NamedTuple):
    """Constants of the strong Wolfe conditions, smallest change, and largest number of evaluations."""

    decrease: float = 1e-4
    curvature: float = 0.9
    change: float = 1e-9
    searches: int = 25


_Evaluation = Callable[[float, Tensor], _Point]


def _search(
    at: _Evaluation, direction: Tensor, length: float, start: _Point, options: _SearchOptions
) -> tuple[_Point, int]:
    """Return a point that satisfies the strong Wolfe conditions, if found, and the number of evaluations."""

    def too_high(point: _Point) -> bool:
        return point.loss > start.loss + options.decrease * point.length * start.slope

    def flat(point: _Point) -> bool:
        return abs(point.slope) <= -options.curvature * start.slope

    previous, point, tries = start, at(length, direction), 0
    while tries < options.searches:
        if too_high(point) or (tries > 1 and point.loss >= previous.loss):
            break
        if flat(point):
            return point, tries + 1
        if point.slope >= 0:
            break
        bounds = point.length + 0.01 * (point.length - previous.length), point.length * 10
        previous, point = point, at(_cubic_minimum(previous, point, bounds), direction)
        tries += 1
    else:
        previous = start
    return _zoom(at, direction, previous, point, too_high, flat, tries, options)


def _zoom(
    at: _Evaluation,
    direction: Tensor,
    one: _Point,
    other: _Point,
    too_high: Callable[[_Point], bool],
    flat: Callable[[_Point], bool],
    tries: int,
    options: _SearchOptions,
) -> tuple[_Point, int]:
    """Narrow the bracket between ``one`` and ``other`` (algorithm 3.6). ``tries + 1`` evaluations were made before.

    Returns: the end of the bracket with the lower loss, and the total number of evaluations.
    """
    low, high = (one, other) if one.loss <= other.loss else (other, one)
    stalled, done, reach = False, False, _largest(direction)
    while not done and tries < options.searches and abs(high.length - low.length) * reach >= options.change:
        least, most = sorted((low.length, high.length))
        left, right = (low, high) if low.length == least else (high, low)
        length, margin = _cubic_minimum(left, right, (least, most)), 0.1 * (most - least)
        if min(most - length, length - least) < margin:
            if stalled or length >= most or length <= least:
                length = most - margin if abs(length - most) < abs(length - least) else least + margin
                stalled = False
            else:
                stalled = True
        else:
            stalled = False
        point = at(length, direction)
        tries += 1
        if too_high(point) or point.loss >= low.loss:
            high = point
            low, high = (low, high) if low.loss <= high.loss else (high, low)
            continue
        if flat(point):
            done = True
        elif point.slope * (high.length - low.length) >= 0:
            high = low
        low = point
    return low, tries + 1


def _cubic_minimum(one: _Point, other: _Point, bounds: tuple[float, float]) -> float:
    """Return the minimum, within ``bounds``, of the cubic through two points with the slopes of these points."""
    left, right = (one, other) if one.length <= other.length else (other, one)
    width = right.length - left.length
    if width == 0:
        return sum(bounds) / 2
    mean = one.slope + other.slope - 3 * (one.loss - other.loss) / (one.length - other.length)
    square = mean**2 - one.slope * other.slope
    if not square >= 0:
        return sum(bounds) / 2
    root = math.sqrt(square)
    divisor = right.slope - left.slope + 2 * root
    if divisor == 0:
        return sum(bounds) / 2
    at = right.length - width * ((right.slope + root - mean) / divisor)
    return min(max(at, bounds[0]), bounds[1])


# Functions that are private in PyTorch, but that other libraries import


def _strong_wolfe(
    obj_func: Callable[[Any, float, Tensor], tuple[Any, Tensor]],
    x: Any,
    t: float,
    d: Tensor,
    f: Any,
    g: Tensor,
    gtd: Any,
    c1: float = 1e-4,
    c2: float = 0.9,
    tolerance_change: float = 1e-9,
    max_ls: int = 25,
) -> tuple[float, Tensor, float, int]:
    """Search along ``d`` from ``x``. Return the loss, the gradient, the step length and the number of evaluations.

    ``obj_func(x, length, d)`` returns the loss and the gradient at ``x + length * d``. ``f``, ``g`` and ``gtd`` are the
    loss, the gradient and the slope at ``x``. ``t`` is the first step length.
    """

    def at(length: float, direction: Tensor) -> _Point:
        loss, gradient = obj_func(x, length, direction)
        return _Point(length, float(loss), gradient, float(gradient.dot(direction)))

    start = _Point(0.0, float(f), g, float(gtd))
    found, calls = _search(at, d, t, start, _SearchOptions(c1, c2, tolerance_change, max_ls))
    return found.loss, found.gradient, found.length, calls


def _cubic_interpolate(
    x1: float, f1: float, g1: float, x2: float, f2: float, g2: float, bounds: tuple[float, float] | None = None
) -> float:
    """Return the minimum of the cubic with values ``f1``, ``f2`` and slopes ``g1``, ``g2`` at ``x1``, ``x2``.

    ``bounds`` limits the result; by default, the result is between ``x1`` and ``x2``.
    """
    one, other = (_Point(float(x), float(f), flambeau.empty(0), float(g)) for x, f, g in ((x1, f1, g1), (x2, f2, g2)))
    return _cubic_minimum(one, other, bounds or (min(one.length, other.length), max(one.length, other.length)))
