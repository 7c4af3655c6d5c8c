"""``python -m tools.parity.modules``: compare flambeau's layers with PyTorch's, for PyTorch's table ``module_db``.

For each sample, the program builds both modules, gives them the same state in float64, and calls both, in training and
in evaluation mode.
Further checks: every class of ``torch.nn`` must exist, and initial values must have the same distribution.
"""

from __future__ import annotations

import argparse
import re
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from scipy import stats
from tqdm import tqdm

import flambeau as fb
from tools.parity import report
from tools.parity.bridge import clone, flat, to_flambeau, to_numpy
from tools.parity.cell import Cell, seeded
from tools.parity.compare import difference
from tools.parity.rebind import rebind

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # PyTorch's test modules warn on import
    from torch.testing._internal.common_modules import ModuleInfo, ModuleInput, module_db

KINDS = ("exists", "repr", "keys", "forward", "gradient", "parameters", "state", "initial")

# Classes of torch.nn that flambeau does not have, and why.
OUT_OF_SCOPE: dict[str, str] = {}

# Layers whose initial values are compared, in addition to the layers in the table: (class, arguments).
INITIALISED: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Linear", (50, 60), {}),
    ("Bilinear", (20, 10, 15), {}),
    ("Conv1d", (10, 20, 5), {}),
    ("Conv2d", (10, 20, 3), {"groups": 2}),
    ("Conv3d", (5, 10, 3), {}),
    ("ConvTranspose1d", (10, 20, 5), {}),
    ("ConvTranspose2d", (10, 20, 3), {}),
    ("ConvTranspose3d", (5, 10, 3), {}),
    ("Embedding", (50, 40), {"padding_idx": 3}),
    ("EmbeddingBag", (50, 40), {}),
    ("RNN", (20, 30), {"num_layers": 2, "bidirectional": True}),
    ("LSTM", (20, 30), {"proj_size": 10}),
    ("GRU", (20, 30), {}),
    ("RNNCell", (20, 30), {}),
    ("LSTMCell", (20, 30), {}),
    ("GRUCell", (20, 30), {}),
    ("MultiheadAttention", (40, 4), {"add_bias_kv": True}),
    ("MultiheadAttention", (40, 4), {"kdim": 30, "vdim": 50}),
    ("TransformerEncoderLayer", (40, 4, 60), {}),
    ("TransformerDecoderLayer", (40, 4, 60), {}),
    ("Transformer", (40, 4, 1, 1, 60), {}),
    ("AdaptiveLogSoftmaxWithLoss", (60, 100, [20, 50]), {}),
    ("BatchNorm2d", (10,), {}),
    ("LayerNorm", (10,), {}),
    ("GroupNorm", (2, 10), {}),
    ("InstanceNorm2d", (10,), {"affine": True}),
    ("RMSNorm", (10,), {}),
    ("PReLU", (5,), {}),
]
# Probability of a false rejection for layers with equal distributions, for each of their parameters.
SIGNIFICANCE = 1e-4


def main() -> int:
    """Run the chosen part of the table. Return exit status 0 if enough cells pass, otherwise 1."""
    parser = argparse.ArgumentParser(prog="parity.modules", description=__doc__)
    parser.add_argument("-k", default="", metavar="REGEX", help="test only classes whose name matches")
    parser.add_argument("--at-least", type=float, default=0, metavar="PERCENT", help="fail if fewer cells pass")
    parser.add_argument("-v", action="store_true", help="print all messages of failing cells")
    options = parser.parse_args()
    cells = list(walk(options.k))
    print(report.failures(cells, sys.maxsize if options.v else 1))
    print("out of scope:", "; ".join(f"{name} ({why})" for name, why in OUT_OF_SCOPE.items()))
    print(report.summary(cells, KINDS))
    passed = sum(not cell.failures for cell in cells)
    return int(passed < len(cells) * options.at_least / 100)


def walk(pattern: str) -> Iterator[Cell]:
    """Yield every selected cell."""
    for name in sorted(vars(torch.nn)):
        if isinstance(getattr(torch.nn, name), type) and re.search(pattern, name) and name not in OUT_OF_SCOPE:
            yield Cell(name, "-", "exists", 1, [] if hasattr(fb.nn, name) else ["flambeau.nn does not have it"])
    chosen = [info for info in module_db if re.search(pattern, info.name) and hasattr(fb.nn, title(info))]
    for info in tqdm(chosen, disable=None, leave=False):
        for mode in ("train", "eval"):
            yield from compared(info, mode)
    for name, args, kwargs in INITIALISED:
        if re.search(pattern, name):
            yield initial(name, args, kwargs)


def title(info: ModuleInfo) -> str:
    """Return the name of a module's class."""
    return str(info.module_cls.__name__)


def compared(info: ModuleInfo, mode: str) -> Iterator[Cell]:
    """Run all samples of a class in one mode (train or eval), and yield a cell with the failures for each check.

    Samples without a forward input are skipped.
    """
    cells = {kind: Cell(title(info), mode, kind) for kind in KINDS[1:-1]}
    torch.manual_seed(0)
    table = info.module_inputs_func
    for sample in table(info, device="cpu", dtype=torch.float64, requires_grad=True, training=mode == "train"):
        if sample.forward_input is not None:
            for kind, problem in problems(info, sample, mode == "train"):
                cells[kind].samples += 1
                cells[kind].failures += [f"{sample.desc or ''} {problem}"] if problem else []
    yield from (cell for cell in cells.values() if cell.samples)


def problems(info: ModuleInfo, sample: ModuleInput, training: bool) -> Iterator[tuple[str, str | None]]:
    """Run the checks of a sample. Yield the name of each check, and a message or None if both libraries agree."""
    constructor = sample.constructor_input
    theirs = seeded(info.module_cls, *constructor.args, **constructor.kwargs).to(torch.float64).train(training)
    first = sample.forward_input
    args, kwargs = clone(first.args), clone(first.kwargs)
    own_args, own_kwargs = to_flambeau(args, rebind, copy=True), to_flambeau(kwargs, rebind, copy=True)
    try:
        ours = getattr(fb.nn, title(info))(*translated(constructor.args), **translated(constructor.kwargs))
        ours = ours.to(fb.float64).train(training)
        yield "repr", compared_text(repr(theirs), repr(ours))
        keys = [list(module.state_dict()) for module in (theirs, ours)]
        yield "keys", None if keys[0] == keys[1] else f"{keys[1]} instead of {keys[0]}"
        if any(map(torch.nn.parameter.is_lazy, theirs.parameters())):
            torch.no_grad()(theirs)(*args, **kwargs)
        ours.load_state_dict(to_flambeau(dict(theirs.state_dict()), rebind, copy=True))
        expected = seeded(theirs, *args, **kwargs)
        got = seeded(ours, *own_args, **own_kwargs)
    except Exception as error:
        yield "forward", f"{type(error).__name__}: {error}"
        return
    yield "forward", difference(expected, got)
    yield from gradients(theirs, ours, (expected, got), ((args, kwargs), (own_args, own_kwargs)))
    yield "state", difference(list(theirs.state_dict().values()), list(ours.state_dict().values()))


def gradients(
    theirs: Any, ours: Any, results: tuple[Any, Any], inputs: tuple[Any, Any]
) -> Iterator[tuple[str, str | None]]:
    """Compare the gradients of a random combination of the results, for the inputs and for the parameters."""
    expected, got = flat(results[0]), flat(results[1])
    places = [i for i, each in enumerate(expected) if isinstance(each, torch.Tensor) and each.requires_grad]
    if not places or len(got) != len(expected):
        return
    try:
        for i in places:
            weight = np.random.default_rng(i).standard_normal(tuple(expected[i].shape))
            expected[i].backward(torch.tensor(weight), retain_graph=True)
            got[i].backward(fb.tensor(weight), retain_graph=True)
    except Exception as error:
        yield "gradient", f"{type(error).__name__}: {error}"
        return
    leaves = [[each.grad for each in tensors(values)] for values in inputs]
    yield "gradient", difference(leaves[0], leaves[1])
    leaves = [[each.grad for each in module.parameters()] for module in (theirs, ours)]
    if leaves[0]:
        yield "parameters", difference(leaves[0], leaves[1])


def tensors(value: Any) -> list[Any]:
    """Return the tensors in arguments, in order."""
    if isinstance(value, dict):
        return tensors(list(value.values()))
    if isinstance(value, (tuple, list)):
        return [leaf for each in value for leaf in tensors(each)]
    return [value] if hasattr(value, "requires_grad") else []


def translated(value: Any) -> Any:
    """Convert the arguments of a constructor to flambeau. Rebuild layers among the arguments."""
    if isinstance(value, torch.nn.Module):
        return rebuilt(value)
    if isinstance(value, dict):
        return {key: translated(each) for key, each in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(map(translated, value))
    return to_flambeau(value, rebind, copy=True)


def rebuilt(layer: torch.nn.Module) -> Any:
    """Build the corresponding flambeau layer from the attributes of a PyTorch layer."""
    cls = getattr(fb.nn, type(layer).__name__)
    if isinstance(layer, torch.nn.TransformerEncoderLayer):
        attention = layer.self_attn
        sizes = (attention.embed_dim, attention.num_heads, layer.linear1.out_features, layer.dropout.p)
        options = {"batch_first": attention.batch_first, "norm_first": layer.norm_first}
        activation = rebind(layer.activation)
        return cls(*sizes, activation, layer.norm1.eps, bias=layer.linear1.bias is not None, **options)
    if isinstance(layer, torch.nn.LayerNorm):
        return cls(layer.normalized_shape, layer.eps, bias=layer.bias is not None)
    raise TypeError(f"a {type(layer).__name__} cannot be built from its attributes")


def compared_text(expected: str, got: str) -> str | None:
    """Return the difference between two texts, or None if they are equal except for the libraries' names."""
    return None if expected.replace("torch.", "flambeau.") == got else f"{got!r} instead of {expected!r}"


def initial(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Cell:
    """Compare the distributions of the initial values of each parameter."""
    draws = [sampled(library, name, args, kwargs) for library in (torch, fb)]
    cell = Cell(name, "-", "initial", len(draws[0]))
    for key, expected in draws[0].items():
        got = draws[1].get(key, np.zeros(0))
        if got.shape != expected.shape:
            cell.failures.append(f"{key}: {got.size} values instead of {expected.size}")
        elif np.ptp(expected) == 0:
            cell.failures += [] if (got == expected).all() else [f"{key}: {got[0]} instead of {expected[0]}"]
        elif (chance := stats.ks_2samp(expected, got).pvalue) < SIGNIFICANCE:
            cell.failures.append(f"{key}: distributed otherwise, p = {chance:.2g}")
    return cell


def sampled(library: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return the initial values of several layers, by parameter."""
    library.manual_seed(0)
    states = [getattr(library.nn, name)(*args, **kwargs).state_dict() for _ in range(10)]
    return {key: np.concatenate([to_numpy(state[key]).reshape(-1) for state in states]) for key in states[0]}


if __name__ == "__main__":
    sys.exit(main())
