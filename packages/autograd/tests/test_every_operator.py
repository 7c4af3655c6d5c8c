"""Every operator of the registry: floats that come of floats with a history have one, or are listed here."""

import functools
import importlib
import warnings

import pytest

import flambeau as fb
from flambeau import _core

for module in ("fft", "linalg", "signal", "special"):  # their operators join the registry when they load
    importlib.import_module(f"flambeau.{module}")

# What gives floats without a derivative, beside rows that say so themselves. As in PyTorch: counts, the values of a
# set, packed factorizations; draws; what takes only shape and dtype of its input.
NOT_DIFFERENTIABLE = {
    *("detach", "detach_copy", "histc", "histogramdd", "unique", "unique_consecutive", "geqrf"),
    *("ldl_factor", "ldl_factor_ex", "ldl_solve"),
    *("tensor",),
    *(f"{each}_like" for each in ("empty", "full", "ones", "zeros", "rand", "randn", "randint")),
    *(f"new_{each}" for each in ("empty", "empty_strided", "full", "ones", "zeros", "tensor")),
}


def windows(name):
    return name in REGISTRY and REGISTRY[name]["module"] == "flambeau.signal.windows"


REGISTRY = {entry["name"]: entry for entry in _core.signatures()}
ROWS = {row["name"]: row for row in _core.pointwise_rows()}
NOT_DIFFERENTIABLE |= {name for name, row in ROWS.items() if not row["differentiable"]}
NAMES = sorted(n for n in {*REGISTRY, *ROWS} if not n.startswith("_") and not n.endswith("_") and not windows(n))


def candidates():
    """Arguments that operators of many kinds take, tensors among them requiring grad."""

    def leaf(*shape):
        values = fb.arange(1, 1 + fb.Size(shape).numel(), dtype=fb.float64).reshape(shape) / 7
        return (values + 3 * fb.eye(*shape) if len(shape) == 2 else values).requires_grad_()

    index, rows, mask = fb.tensor([[0, 1, 1]] * 3), fb.tensor([0, 2, 1]), fb.eye(3) > 0
    yield lambda: (leaf(3, 3),)
    for other in (leaf(3, 3), 1, 2.0, (1,), (3, 3), mask, "ij->ji"):
        yield lambda other=other: (leaf(3, 3), other)
    yield lambda: ((leaf(3, 3), leaf(3, 3)),)
    yield lambda: (leaf(3),)
    yield lambda: (leaf(3), leaf(3))
    yield lambda: (leaf(3, 3), leaf(3, 3), leaf(3, 3))
    yield lambda: (leaf(3, 3), leaf(3), leaf(3))
    yield lambda: (leaf(3, 3), 0, 1)
    yield lambda: (leaf(3, 3), 0, rows)
    yield lambda: (leaf(3, 3), 0, index)
    yield lambda: (leaf(3, 3), index)
    yield lambda: (leaf(3, 3), mask, 1.0)
    yield lambda: (leaf(3, 3), 0, index, leaf(3, 3))
    yield lambda: (leaf(3, 3), 0, rows, leaf(3, 3))
    yield lambda: (leaf(3, 3), 0, rows, leaf(3, 3), "mean")
    yield lambda: (leaf(2, 3, 3), leaf(2, 3, 3))
    yield lambda: (leaf(3, 3), leaf(2, 3, 3), leaf(2, 3, 3))
    yield lambda: (leaf(3), leaf(3, 3), leaf(3))
    for integers in ((rows,), (rows, rows), (3,), (3, 3), ((3,), (1,))):
        yield lambda integers=integers: integers
    for dims in (1, 2, 3):
        image, window = leaf(1, 2, *(4,) * dims), leaf(2, 2, *(3,) * dims)
        yield lambda image=image, window=window: (image, window)
        yield lambda image=image: (image, 2)
        gradient = leaf(1, 2, *(2,) * dims)
        yield lambda image=image, window=window, gradient=gradient: (image.shape, window, gradient)
        yield lambda image=image, window=window, gradient=gradient: (image, window.shape, gradient)


def floating(value):
    """The floating-point tensors of a result."""
    if isinstance(value, (tuple, list)):
        return [t for v in value for t in floating(v)]
    return [value] if isinstance(value, fb.Tensor) and (value.is_floating_point() or value.is_complex()) else []


def public(name):
    entry = REGISTRY.get(name)
    if entry and entry["module"] == "flambeau" and not entry["function"]:
        return getattr(fb.Tensor, name)
    if entry and entry["module"].startswith("flambeau.nn."):  # where it is when that package is not installed
        return getattr(_core, f"nn_{name}")
    return getattr(importlib.import_module(entry["module"]) if entry else _core, name)


@functools.cache
def results_of(name):
    """What the operator gives for the first arguments that suit it and give it a history, else for all that suit it."""
    called, results = False, []
    for arguments in candidates():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                given = arguments()
                made = floating(public(name)(*given))
        except Exception:  # not this operator's kind of arguments
            continue
        called = True
        results += made if any(t.requires_grad for t in floating(given)) else []
        if any(t.requires_grad for t in results):
            break
    return called, results


@pytest.mark.parametrize("name", NAMES)
def test_what_floats_give_has_a_derivative(name):
    _, results = results_of(name)
    if results:
        differentiable = any(t.requires_grad for t in results)
        assert differentiable == (name not in NOT_DIFFERENTIABLE), f"{name} gives floats; history: {differentiable}"


def test_most_operators_are_reached():
    unsuited = [name for name in NAMES if not results_of(name)[0]]
    assert len(unsuited) < len(NAMES) / 8, f"no candidate suits {unsuited}"
