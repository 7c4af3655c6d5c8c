"""Comparison of derivatives with finite differences.

The functions compare Jacobians of the real components of an output with respect to the real components of an input. A
complex number has two real components. The fast mode compares one random bilinear form ``u^T J v`` instead of the whole
Jacobian.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import flambeau
from flambeau import Tensor
from flambeau.autograd import forward_ad
from flambeau.autograd._backward import grad
from flambeau.autograd._jacobian import (
    Problem,
    backward_derivative,
    forward_derivative,
    numerical_derivative,
    of_parts,
    outputs_of,
    parts,
    unit_vectors,
)

FORWARD = " computed with forward mode"
IMAGINARY = "While considering the imaginary part of complex outputs only, "
CONSTANT = "Numerical gradient for function expected to be zero: no output requires a gradient"
_PRECISE = (flambeau.float64, flambeau.complex128)


class GradcheckError(RuntimeError):
    """Error for analytical and numerical derivatives that differ.

    >>> class Wrong(fb.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return 2 * x
    ...
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         return 3 * grad
    >>> try:
    ...     fb.autograd.gradcheck(Wrong.apply, fb.ones(1, dtype=fb.float64, requires_grad=True))
    ... except fb.autograd.GradcheckError as error:
    ...     print(str(error).splitlines()[0])
    Jacobian mismatch for output 0 with respect to input 0,
    """


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Compare derivatives with central differences ``(f(x + eps) - f(x - eps)) / (2 eps)``.

    Args:
        func: function of the inputs that returns a tensor or a tuple of tensors. The outputs that require grad are
            checked.
        inputs: inputs of ``func``. Floating and complex tensors that require grad are checked. A warning is issued for
            tensors of less than double precision, because their differences are too inaccurate.
        eps: step of the differences.
        atol, rtol: tolerances. The analytical derivative a and the numerical derivative n must satisfy
            ``|a - n| <= atol + rtol * |n|``.
        raise_exception: if True, raise an error for a wrong derivative. Otherwise return False.
        nondet_tol: largest allowed difference between two backward passes.
        check_backward_ad, check_forward_ad: if True, check reverse mode (``backward``) or forward mode (dual tensors).
        check_batched_grad: if True, also check ``grad(..., is_grads_batched=True)``.
        check_batched_forward_grad: accepted for compatibility with PyTorch; no further check.
        check_undefined_grad: if True, also check forward mode with inputs that are not dual tensors. Reverse mode is
            always checked with the gradient of only one output.
        check_grad_dtypes, masked: accepted for compatibility with PyTorch; always enabled. Gradients have the dtype of
            their input. For a sparse tensor, only the stored values are perturbed and compared, because its gradient
            has the same indices.
        fast_mode: if True, use one random direction in each input and output instead of whole Jacobians.
    Returns: True if all derivatives are correct. Otherwise False, if ``raise_exception`` is False.
    Raises: GradcheckError if a derivative is wrong; ValueError if no input requires grad; AssertionError for
        incompatible options, or if the shape or dtype of an output depends on the values of the inputs.

    >>> x = flambeau.tensor([0.5, 2.0], dtype=flambeau.float64, requires_grad=True)
    >>> flambeau.autograd.gradcheck(flambeau.log, x)
    True
    """
    if not (check_backward_ad or check_forward_ad):
        raise AssertionError("Expected at least one of check_backward_ad or check_forward_ad to be True")
    if check_batched_grad and not check_backward_ad:
        raise AssertionError("Setting check_batched_grad=True requires check_backward_ad to be True")
    if check_batched_forward_grad and not check_forward_ad:
        raise AssertionError("Setting check_batched_forward_grad=True requires check_forward_ad to be True")
    arguments = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    problem = Problem(func, arguments, _checked_inputs(arguments), eps, atol, rtol)
    try:
        (_compare_fast if fast_mode else _compare_slow)(problem, check_backward_ad, check_forward_ad)
        if check_forward_ad and check_undefined_grad:
            _compare_undefined_forward(problem)
        if check_backward_ad:
            _compare_runs(problem, nondet_tol)
        if check_batched_grad:
            _compare_batched(problem)
        if check_backward_ad:
            _check_zeros(problem)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """Apply ``gradcheck`` to the gradient: check second derivatives with respect to the inputs and ``grad_outputs``.

    Args:
        grad_outputs: gradients of the outputs. By default, they are random with a fixed seed.
        gen_non_contig_grad_outputs: if True, the default ``grad_outputs`` are not contiguous.
        check_rev_over_rev, check_fwd_over_rev: if True, check the derivative of the gradient in reverse mode or in
            forward mode.

    For the other arguments, see ``gradcheck``.

    >>> x = fb.tensor([1.0, 2.0], dtype=fb.float64, requires_grad=True)
    >>> fb.autograd.gradgradcheck(lambda x: x**3, (x,))
    True
    """
    arguments = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if grad_outputs is None:
        generator = np.random.default_rng(0)
        outputs = [t for t in outputs_of(func, arguments) if t.requires_grad]
        seeds = [_random_like(t, generator, gen_non_contig_grad_outputs) for t in outputs]
    else:
        seeds = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
    count = len(arguments)

    def first_derivative(*all_inputs: Any) -> tuple[Tensor | None, ...]:
        own, gradients = list(all_inputs[:count]), all_inputs[count:]
        for value, argument in zip(own, arguments, strict=True):
            if isinstance(argument, Tensor) and argument.requires_grad:
                value.requires_grad_()  # gradcheck detaches dual tensors
        sources = [a for a in own if isinstance(a, Tensor) and a.requires_grad]
        results = [t for t in outputs_of(func, own) if t.requires_grad]
        return grad(results, sources, gradients, create_graph=True, allow_unused=True, materialize_grads=True)

    return gradcheck(
        first_derivative,
        [*arguments, *seeds],
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_batched_grad=check_batched_grad,
        check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev,
        fast_mode=fast_mode,
    )


def _checked_inputs(arguments: list[Any]) -> list[int]:
    checked = [i for i, a in enumerate(arguments) if isinstance(a, Tensor) and a.requires_grad]
    if not checked:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
        )
    for i in checked:
        if arguments[i].dtype not in _PRECISE:
            text = (
                f"Input #{i} requires gradient and is not a double precision floating point or complex, but "
                f"{arguments[i].dtype}. This check will likely fail if all the inputs are not of double precision."
            )
            warnings.warn(text, stacklevel=3)
    return checked


def _random_like(tensor: Tensor, generator: np.random.Generator, strided: bool) -> Tensor:
    values = of_parts(generator.standard_normal(parts(tensor).size), tensor)
    if strided:
        values = flambeau.stack([values, values], -1)[..., 0]
    return values.detach().requires_grad_()


# Comparisons


def _compare_slow(problem: Problem, backward: bool, forward: bool) -> None:
    """Compare the complete Jacobians with finite differences."""
    outputs, sources = problem.outputs(), problem.sources()
    rows = (
        [[backward_derivative(t, sources, u) for u in unit_vectors(parts(t).size)] for t in outputs] if backward else []
    )
    for position, (i, source) in enumerate(zip(problem.checked, sources, strict=True)):
        units = list(unit_vectors(parts(source).size))
        numerical = [numerical_derivative(problem, i, v) for v in units]
        tangents = [forward_derivative(problem, i, v) for v in units] if forward else []
        for k, t in enumerate(outputs):
            shape = (parts(t).size, len(units))
            wanted = np.array([column[k] for column in numerical]).reshape(shape[::-1]).T
            if backward:
                numeric = np.array([row[position] for row in rows[k]]).reshape(shape)
                if t.is_complex():  # real and imaginary parts alternate
                    _require_close(problem, numeric[1::2], wanted[1::2], problem.atol, "", k, i, start=IMAGINARY)
                _require_close(problem, numeric, wanted, problem.atol, "", k, i)
            if forward:
                numeric = np.array([column[k] for column in tangents]).reshape(shape[::-1]).T
                _require_close(problem, numeric, wanted, problem.atol, FORWARD, k, i)


def _compare_fast(problem: Problem, backward: bool, forward: bool) -> None:
    """Compare u^T J v for random unit vectors u and v with finite differences."""
    outputs, sources = problem.outputs(), problem.sources()
    generator = np.random.default_rng(0)
    units = [_unit(generator, parts(t).size) for t in outputs]
    rows = [backward_derivative(t, sources, u) for t, u in zip(outputs, units, strict=True)] if backward else []
    hint = " (in fast mode, where the numbers are u^T J v for random u and v; fast_mode=False shows the Jacobians)"
    for position, (i, source) in enumerate(zip(problem.checked, sources, strict=True)):
        v = _unit(generator, parts(source).size)
        numerical = numerical_derivative(problem, i, v)
        tangents = forward_derivative(problem, i, v) if forward else []
        for k, u in enumerate(units):
            atol = problem.atol * np.abs(u).sum() * np.abs(v).sum()
            if backward:
                _require_close(problem, rows[k][position] @ v, u @ numerical[k], atol, "", k, i, hint)
            if forward:
                _require_close(problem, u @ tangents[k], u @ numerical[k], atol, FORWARD, k, i, hint)


def _unit(generator: np.random.Generator, size: int) -> np.ndarray:
    direction = generator.standard_normal(size)
    return direction / np.linalg.norm(direction) if size else direction


def _require_close(
    problem: Problem,
    found: Any,
    wanted: Any,
    atol: float,
    how: str,
    output: int,
    which: int,
    hint: str = "",
    start: str = "",
) -> None:
    """Raise GradcheckError if an analytical Jacobian, or a product with it, differs from the numerical one."""
    if np.allclose(found, wanted, problem.rtol, atol, equal_nan=False):
        return
    mismatch = f"{start}Jacobian{how} mismatch for output {output} with respect to input {which}{hint},\n"
    text = f"{CONSTANT}\n" if problem.is_constant else mismatch
    raise GradcheckError(f"{text}numerical:\n{wanted}\nanalytical:\n{found}")


def _compare_runs(problem: Problem, tolerance: float) -> None:
    sources, generator = problem.sources(), np.random.default_rng(1)
    for output in problem.outputs():
        u = _unit(generator, parts(output).size)
        for a, b in zip(backward_derivative(output, sources, u), backward_derivative(output, sources, u), strict=True):
            if not (np.abs(a - b) <= tolerance).all():
                raise GradcheckError(
                    "Backward is not reentrant, i.e., running backward with same input gives different results, "
                    f"although they may differ by nondet_tol={tolerance} at most; the largest difference is "
                    f"{np.abs(a - b).max()}"
                )


def _check_zeros(problem: Problem) -> None:
    """Raise an error if the gradients of the inputs are not zero although the gradients of the outputs are zero."""
    outputs, sources = [t for t in problem.outputs() if t.requires_grad], problem.sources()
    if not outputs:
        return
    seeds = [flambeau.zeros_like(t) for t in outputs]
    for gradient in grad(outputs, sources, seeds, retain_graph=True, allow_unused=True):
        if gradient is not None and parts(gradient).any():
            raise GradcheckError("backward not multiplied by grad_output")


def _compare_undefined_forward(problem: Problem) -> None:
    """Compare the results for an input with a tangent of zero and for the same input without a tangent."""
    generator = np.random.default_rng(3)
    with forward_ad.dual_level():
        originals = {i: problem.arguments[i].detach() for i in problem.checked}
        changed = list(problem.arguments)
        for i, original in originals.items():
            tangent = of_parts(_unit(generator, parts(original).size), original).clone()
            changed[i] = forward_ad.make_dual(original, tangent)
        for i, original in originals.items():
            former, changed[i] = changed[i], forward_ad.make_dual(original, flambeau.zeros_like(original))
            of_zero = [forward_ad.unpack_dual(t).tangent for t in problem.outputs(changed)]
            changed[i] = original
            without = [forward_ad.unpack_dual(t).tangent for t in problem.outputs(changed)]
            changed[i] = former
            for k, (a, b) in enumerate(zip(of_zero, without, strict=True)):
                if a is not None and b is not None and not np.allclose(parts(a), parts(b)):
                    raise GradcheckError(
                        f"Mismatch in tangent values for output with index: {k} when input: {i} is not a dual tensor, "
                        f"instead of a dual tensor with a tangent of zero.\nwith a tangent of zero:\n{a}\n"
                        f"without a tangent:\n{b}"
                    )


def _compare_batched(problem: Problem) -> None:
    """Compare gradients with ``is_grads_batched`` with the gradients of single backward passes."""
    sources, generator = problem.sources(), np.random.default_rng(2)
    for k, output in enumerate(problem.outputs()):
        if not output.requires_grad:
            continue
        seeds = [_random_like(output, generator, False).detach() for _ in range(2)]
        options: dict[str, Any] = {"retain_graph": True, "allow_unused": True}
        alone = [grad(output, sources, seed, **options) for seed in seeds]
        together = grad(output, sources, flambeau.stack(seeds), is_grads_batched=True, **options)
        for position, (i, batch) in enumerate(zip(problem.checked, together, strict=True)):
            for j, row in enumerate(alone):
                absent = np.zeros_like(parts(problem.arguments[i]))
                found, wanted = (
                    absent if g is None else parts(g) for g in (None if batch is None else batch[j], row[position])
                )
                _require_close(problem, found, wanted, problem.atol, " of a batch of gradients", k, i)
