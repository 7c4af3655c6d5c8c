"""Every operator with floating-point inputs and results has a derivative or is listed here."""

import functools
import importlib
import operator
import warnings

import pytest

import flambeau as fb
from flambeau import _core
from flambeau._samples import samples

for module in ("fft", "linalg", "signal", "special"):  # their operators are registered on import
    importlib.import_module(f"flambeau.{module}")

# Operators with floating-point results and no derivative, in addition to rows that declare it. As in PyTorch: counts,
# unique values, packed factorizations; random numbers; operators that use only the shape and dtype of their input.
NOT_DIFFERENTIABLE = {
    *("detach", "detach_copy", "bincount", "histc", "histogram", "histogramdd", "unique", "unique_consecutive"),
    *("geqrf", "ldl_factor", "ldl_factor_ex", "ldl_solve"),
    *("tensor",),
    *(f"{each}_like" for each in ("empty", "full", "ones", "zeros", "rand", "randn", "randint")),
    *(f"new_{each}" for each in ("empty", "empty_strided", "full", "ones", "zeros", "tensor")),
}


def windows(name):
    return name in REGISTRY and REGISTRY[name]["module"] == "flambeau.signal.windows"


REGISTRY = {entry["name"]: entry for entry in _core.signatures()}
ROWS = {row["name"]: row for row in _core.pointwise_rows()}
SAMPLES = list(samples())
LISTED = frozenset(NOT_DIFFERENTIABLE)
NOT_DIFFERENTIABLE |= {n for n, r in ROWS.items() if r["domain"] in ("Comparison", "Logical", "Integral", "Whole")}
NAMES = sorted(n for n in {*REGISTRY, *ROWS} if not n.startswith("_") and not n.endswith("_") and not windows(n))


def leaf(*shape, dtype=fb.float64):
    values = fb.arange(1, 1 + fb.Size(shape).numel(), dtype=fb.float64).reshape(shape) / 7
    return (values + 3 * fb.eye(*shape) if len(shape) == 2 else values).to(dtype).requires_grad_()


def call(*args, **kwargs):
    """Return a function that creates arguments: it replaces each function in ``args`` and ``kwargs`` by its result."""

    def made(value):
        if isinstance(value, tuple | list):
            return type(value)(map(made, value))
        return value() if callable(value) and not isinstance(value, type) else value

    return lambda: (tuple(map(made, args)), {key: made(value) for key, value in kwargs.items()})


def of(*shape, dtype=fb.float64):
    return lambda: leaf(*shape, dtype=dtype)


def recurrent(gates, *states):
    """Return the arguments of a recurrent layer: input, state, weights and biases of one layer, and options."""
    weights = [of(gates * 3, 2), of(gates * 3, 3), of(gates * 3), of(gates * 3)]
    return call(of(4, 1, 2), states[0] if len(states) == 1 else list(states), weights, True, 1, 0.0, False, False)


def cell(gates, *states):
    state = states[0] if len(states) == 1 else list(states)
    return call(of(1, 2), state, of(gates * 3, 2), of(gates * 3, 3), of(gates * 3), of(gates * 3))


def factors():
    return fb.linalg.lu_factor(leaf(3, 3).detach())


def pivots():
    return factors()[1]


def ldl():
    matrix = leaf(3, 3).detach()
    return fb.linalg.ldl_factor(matrix + matrix.mT)


# Arguments of operators that accept none of the candidates.
ARGUMENTS = {
    "alpha_dropout": call(of(3, 3), 0.5, True),
    "as_strided_scatter": call(of(3, 3), of(2, 2), (2, 2), (1, 2)),
    "batch_norm": call(of(4, 3), of(3), of(3), None, None, True),
    "bilinear": call(of(2, 3), of(2, 4), of(5, 3, 4), of(5)),
    "conv_tbc": call(of(4, 2, 3), of(2, 3, 5), of(5)),
    "diagonal_scatter": call(of(3, 3), of(3)),
    "empty_permuted": call((2, 3), (1, 0)),
    "fake_quantize_per_channel_affine": call(of(3, 3), fb.ones(3), fb.zeros(3, dtype=fb.int32), 0, 0, 255),
    "fake_quantize_per_tensor_affine": call(of(3, 3), 0.1, 0, 0, 255),
    "feature_alpha_dropout": call(of(2, 3, 4), 0.5, True),
    "feature_dropout": call(of(2, 3, 4), 0.5, True),
    "frombuffer": call(bytes(16), dtype=fb.float64),
    "grid_sample": call(of(1, 2, 4, 4), of(1, 3, 3, 2), align_corners=False),
    "grid_sampler": call(of(1, 2, 4, 4), of(1, 3, 3, 2), 0, 0, False),
    "grid_sampler_2d": call(of(1, 2, 4, 4), of(1, 3, 3, 2), 0, 0, False),
    "grid_sampler_3d": call(of(1, 2, 4, 4, 4), of(1, 3, 3, 3, 3), 0, 0, False),
    "gru": recurrent(3, of(1, 1, 3)),
    "gru_cell": cell(3, of(1, 3)),
    "householder_product": call(of(3, 2), of(2)),
    "imag": call(of(3, dtype=fb.complex128)),
    "index_fill": call(of(3, 3), 0, fb.tensor([0, 2]), 1.0),
    "index_put": call(of(3, 3), (fb.tensor([0, 2]),), of(2, 3)),
    "instance_norm": call(of(2, 3, 4), None, None, None, None, True, 0.1, 1e-5),
    "is_grad_enabled": call(),
    "is_inference_mode_enabled": call(),
    "is_nonzero": call(of(1)),
    "istft": call(lambda: fb.stft(leaf(64), 16, window=fb.ones(16), return_complex=True), 16, window=fb.ones(16)),
    "item": call(of(1)),
    "ldl_solve": lambda: ((*ldl(), leaf(3, 2)), {}),
    "lstm": recurrent(4, of(1, 1, 3), of(1, 1, 3)),
    "lstm_cell": cell(4, of(1, 3), of(1, 3)),
    "lu_solve": call(of(3, 2), of(3, 3), pivots),
    "lu_unpack": call(of(3, 3), pivots),
    "masked_scatter": call(of(3, 3), lambda: fb.eye(3) > 0, of(3)),
    "max_unpool1d": call(of(1, 2, 2), fb.tensor([[[0, 3], [1, 2]]]), 2),
    "max_unpool2d": call(of(1, 1, 1, 2), fb.tensor([[[[0, 3]]]]), 2),
    "max_unpool3d": call(of(1, 1, 1, 1, 2), fb.tensor([[[[[0, 3]]]]]), 2),
    "mv": call(of(3, 3), of(3)),
    "native_batch_norm": call(of(2, 3, 4), None, None, None, None, True, 0.1, 1e-5),
    "native_dropout": call(of(3, 3), 0.5, True),
    "native_group_norm": call(of(2, 4, 3), None, None, 2, 4, 3, 2, 1e-5),
    "native_layer_norm": call(of(3, 3), (3,), None, None, 1e-5),
    "nll_loss": call(of(3, 3), fb.tensor([0, 2, 1])),
    "nonzero_static": call(of(3, 3), size=2),
    "orgqr": call(of(3, 2), of(2)),
    "ormqr": call(of(3, 2), of(2), of(3, 4)),
    "prelu": call(of(3, 3), of(3)),
    "promote_types": call(fb.float32, fb.float64),
    "put": call(of(3, 3), fb.tensor([0, 2]), of(2)),
    "randint": call(3, (2, 2)),
    "renorm": call(of(3, 3), 2, 0, 1.0),
    "rnn_relu": recurrent(1, of(1, 1, 3)),
    "rnn_relu_cell": cell(1, of(1, 3)),
    "rnn_tanh": recurrent(1, of(1, 1, 3)),
    "rnn_tanh_cell": cell(1, of(1, 3)),
    "scatter_reduce": call(of(3, 3), 0, fb.tensor([[0, 1, 1]] * 3), of(3, 3), "sum"),
    "segment_reduce": call(of(4), "sum", lengths=fb.tensor([1, 3])),
    "select_scatter": call(of(3, 3), of(3), 0, 1),
    "solve_triangular": call(of(3, 3), of(3, 2), upper=True),
    "split_with_sizes": call(of(3, 3), (1, 2)),
    "split_with_sizes_copy": call(of(3, 3), (1, 2)),
    "stft": call(of(64), 16, window=fb.ones(16, dtype=fb.float64), return_complex=True),
    "tensorsolve": call(of(3, 3), of(3)),
    "unflatten": call(of(3, 4), 1, (2, 2)),
    "unfold": call(of(3, 4), 1, 2, 1),
    "unfold_copy": call(of(3, 4), 1, 2, 1),
    "unsafe_split_with_sizes": call(of(3, 3), (1, 2)),
    "view_as_complex": call(of(3, 2)),
    "view_as_real": call(of(3, dtype=fb.complex128)),
}
NEEDS_A_GPU = {"cuda", "pin_memory", "record_stream"}


def candidates():
    """Yield typical arguments of operators; the tensors among them require grad."""
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
    """Return the floating-point tensors of a result."""
    if isinstance(value, (tuple, list)):
        return [t for v in value for t in floating(v)]
    return [value] if isinstance(value, fb.Tensor) and (value.is_floating_point() or value.is_complex()) else []


def public(name):
    entry = REGISTRY.get(name)
    if entry and entry["module"] == "flambeau" and not entry["function"]:
        return getattr(fb.Tensor, name)
    if entry and entry["module"] == _core.__name__:
        return getattr(_core, entry["attribute"])
    return getattr(importlib.import_module(entry["module"]) if entry else _core, name)


@functools.cache
def has_derivative(result):
    """Return True if a result requires grad and has a derivative other than one that only raises an error."""
    node = result.grad_fn  # None for an operator that returns its argument
    return result.requires_grad and not (node and node.name().startswith("NotImplemented"))


def results_of(name):
    """Return whether a call of the operator succeeded, and its results for arguments that require grad.

    No further arguments are tried after a call with a differentiable result.
    """
    called, results = False, []
    if sampled := [sample for sample in SAMPLES if sample.operator.__name__ == name]:
        leaves = [
            {n: t.requires_grad_(t.is_floating_point() or t.is_complex()) for n, t in s.tensors().items()}
            for s in sampled
        ]
        of_floats = [(s, each) for s, each in zip(sampled, leaves, strict=True) if floating(list(each.values()))]
        return True, [t for s, each in of_floats for t in floating(s.call(**each))]
    own = [ARGUMENTS[name]] if name in ARGUMENTS else ((lambda args=args: (args(), {})) for args in candidates())
    for arguments in own:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                args, kwargs = arguments()
                made = floating(public(name)(*args, **kwargs))
        except Exception:  # the operator does not accept these arguments
            if name in ARGUMENTS:
                raise
            continue
        called = True
        results += made if any(t.requires_grad for t in floating([args, list(kwargs.values())])) else []
        if any(map(has_derivative, results)):
            break
    return called, results


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NEEDS_A_GPU])
def test_floating_point_results_have_a_derivative(name):
    called, results = results_of(name)
    assert called, f"no candidate suits {name}: add its arguments to ARGUMENTS"
    differentiable = any(map(has_derivative, results))
    wanted = bool(results) and name not in NOT_DIFFERENTIABLE
    assert differentiable == wanted, f"{name} gives floats: {bool(results)}; history: {differentiable}"


@pytest.mark.parametrize("name", ["unique", "unique_consecutive", "geqrf", "linalg.ldl_factor"])
def test_a_missing_derivative_raises_an_error(name):
    x = leaf(3, 3).requires_grad_()
    result, *_ = floating(operator.attrgetter(name)(fb)(x))
    name = name.rpartition(".")[2]
    assert result.requires_grad and x.detach().equal(leaf(3, 3))
    with pytest.raises(NotImplementedError, match=rf"{name}\(\): the derivative is not implemented"):
        (result.sum() + x.sum()).backward()
    assert x.grad is None


def test_the_derivative_of_weighted_counts_raises_an_error():
    weights = fb.ones(3, requires_grad=True)
    bins = fb.bincount(fb.tensor([0, 2, 2]), weights)
    assert bins.requires_grad and bins.tolist() == [1, 0, 2]
    with pytest.raises(NotImplementedError, match=r"bincount\(\): the derivative is not implemented"):
        bins.sum().backward()


def test_counts_of_equal_parts_do_not_require_grad():
    assert not fb.histc(leaf(3, 3).requires_grad_(), 4).requires_grad


def test_the_list_of_operators_without_a_derivative_is_minimal():
    """Check the list of exceptions: an operator without floating-point results must not be in it."""
    assert set(NAMES) >= LISTED
    assert not [name for name in sorted(LISTED) if not results_of(name)[1]]


def test_listed_arguments_and_exceptions_name_existing_operators():
    assert {*ARGUMENTS, *NEEDS_A_GPU} <= set(NAMES)
