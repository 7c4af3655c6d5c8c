"""``python -m tools.parity.names``: report which names of PyTorch's modules resolve under the alias ``torch``.

With ``--write``, read PyTorch and write its interface into packages/torch, for ``flambeau.torch._interface``.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import importlib
import io
import os
import pkgutil
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

FILE = Path(__file__).parents[2] / "packages/torch/src/flambeau/torch/interface.txt.gz"

# Folders and modules that programs do not import, because they are generated, are run as programs, or test PyTorch.
_SKIPPED = (
    *("torch._inductor", "torch.testing._internal", "torch._vendor", "torch.include", "torch.lib", "torch.bin"),
    *("torch.utils.hipify", "torch.distributed.benchmarks", "torch.onnx._internal", "torch.utils.model_dump"),
    *("torch.share", "torch.test", "torch.utils.benchmark.examples", "torch.fx.passes.tests", "torch._C."),
    *(
        "torch._export.db",
        "torch.ops",
        "torch.classes",
        "torch.distributed.pipelining._",
        "torch._native",
    ),
)

# Private modules that published libraries import.
PRIVATE = (
    *("torch._C", "torch._C._functorch", "torch._C._nn", "torch._C._distributed_c10d", "torch._tensor"),
    *("torch._dynamo", "torch._dynamo.config", "torch._dynamo.eval_frame", "torch._dynamo.utils"),
    *("torch._dynamo.decorators", "torch._dynamo.exc", "torch._dynamo.backends.registry"),
    *("torch._inductor", "torch._inductor.config", "torch._functorch", "torch._functorch.config"),
    *("torch._higher_order_ops", "torch._higher_order_ops.associative_scan", "torch._jit_internal", "torch._ops"),
    *("torch._lowrank", "torch._logging", "torch._prims_common", "torch._subclasses", "torch._subclasses.fake_tensor"),
    *("torch._six", "torch._tensor_str", "torch._utils", "torch._vmap_internals", "torch._weights_only_unpickler"),
    *("torch.distributed._tensor", "torch.distributed._composable", "torch.distributed._composable.fsdp"),
    *("torch.distributed._functional_collectives", "torch.distributed._shard", "torch.distributed._sharded_tensor"),
    *("torch.jit._script", "torch.jit._trace", "torch.jit._recursive", "torch.jit._state", "torch.jit._serialization"),
    *("torch.nn._reduction", "torch.nn.modules._functions", "torch.nn.parallel._functions"),
    *("torch.optim._functional", "torch.optim._multi_tensor", "torch.optim._adafactor", "torch.optim._muon"),
    *("torch.utils._contextlib", "torch.utils._device", "torch.utils._foreach_utils", "torch.utils._mode_utils"),
    *("torch.utils._python_dispatch", "torch.utils._pytree", "torch.utils._triton", "torch.utils._typing_utils"),
    *("torch.utils._stats", "torch.utils._import_utils", "torch.utils._sympy", "torch.utils._sympy.functions"),
    *("torch.utils.data._utils", "torch.utils.data._utils.collate", "torch.utils.data._utils.fetch"),
    *("torch.utils.data._utils.pin_memory", "torch.utils.data._utils.signal_handling"),
    *("torch.utils.data._utils.worker", "torch._sources", "torch._guards", "torch._custom_ops", "torch._compile"),
    *("torch._decomp", "torch._refs", "torch._prims", "torch._linalg_utils", "torch._lobpcg", "torch._library"),
    *(
        "torch._library.utils",
        "torch._streambase",
        "torch._classes",
        "torch._VF",
        "torch._dynamo.backends",
        "torch.distributed.algorithms._checkpoint",
        "torch.distributed.algorithms._checkpoint.checkpoint_wrapper",
        "torch.distributed.tensor.experimental._attention",
        "torch._dispatch",
        "torch._dispatch.python",
        "torch._prims_common.wrappers",
        "torch._subclasses.functional_tensor",
        "torch.distributed._composable_state",
        "torch.fx._compatibility",
        "torch.profiler._utils",
        "torch.sparse._triton_ops_meta",
        "torch.utils._ordered_set",
    ),
)

# The modules of PyTorch's documentation (docs.pytorch.org, "Python API").
DOCUMENTED = (
    *("torch", "torch.nn", "torch.nn.functional", "torch.nn.init", "torch.nn.attention", "torch.nn.utils"),
    *("torch.nn.utils.rnn", "torch.nn.utils.prune", "torch.nn.utils.parametrize", "torch.nn.utils.parametrizations"),
    *("torch.nn.attention.flex_attention", "torch.nn.attention.bias", "torch.accelerator", "torch.amp"),
    *("torch.autograd", "torch.autograd.forward_ad", "torch.autograd.functional", "torch.autograd.function"),
    *("torch.autograd.graph", "torch.autograd.gradcheck", "torch.autograd.profiler", "torch.backends"),
    *("torch.backends.cpu", "torch.backends.cuda", "torch.backends.cudnn", "torch.backends.mkl"),
    *("torch.backends.mps", "torch.backends.mkldnn", "torch.backends.openmp", "torch.backends.opt_einsum"),
    *("torch.backends.xeon", "torch.backends.cusparselt", "torch.backends.mha", "torch.backends.nnpack"),
    *("torch.compiler", "torch.compiler.config", "torch.cpu", "torch.cuda", "torch.cuda.memory", "torch.cuda.amp"),
    *("torch.cuda.nvtx", "torch.cuda.tunable", "torch.distributed", "torch.distributed.algorithms.join"),
    *("torch.distributed.algorithms.ddp_comm_hooks", "torch.distributed.checkpoint", "torch.distributed.fsdp"),
    *("torch.distributed.checkpoint.state_dict", "torch.distributed.device_mesh", "torch.distributed.elastic"),
    *("torch.distributed.elastic.multiprocessing", "torch.distributed.elastic.multiprocessing.errors"),
    *("torch.distributed.optim", "torch.distributed.pipelining", "torch.distributed.rpc", "torch.distributed.run"),
    *("torch.distributed.tensor", "torch.distributed.tensor.parallel", "torch.distributed.tensor.placement_types"),
    *("torch.distributions", "torch.distributions.constraints", "torch.distributions.constraint_registry"),
    *("torch.distributions.kl", "torch.distributions.transforms", "torch.export", "torch.fft", "torch.func"),
    *("torch.futures", "torch.fx", "torch.fx.experimental", "torch.fx.experimental.symbolic_shapes"),
    *("torch.fx.experimental.proxy_tensor", "torch.hub", "torch.jit", "torch.library", "torch.linalg"),
    *("torch.masked", "torch.monitor", "torch.mps", "torch.mps.event", "torch.mps.profiler", "torch.mtia"),
    *("torch.mtia.memory", "torch.multiprocessing", "torch.nested", "torch.onnx", "torch.optim"),
    *("torch.optim.lr_scheduler", "torch.optim.swa_utils", "torch.overrides", "torch.package", "torch.profiler"),
    *("torch.profiler.itt", "torch.quasirandom", "torch.random", "torch.return_types", "torch.serialization"),
    *("torch.signal", "torch.signal.windows", "torch.sparse", "torch.special", "torch.storage", "torch.testing"),
    *("torch.types", "torch.utils", "torch.utils.benchmark", "torch.utils.checkpoint", "torch.utils.collect_env"),
    *("torch.utils.cpp_extension", "torch.utils.data", "torch.utils.data.distributed", "torch.utils.deterministic"),
    *("torch.utils.dlpack", "torch.utils.flop_counter", "torch.utils.hooks", "torch.utils.mobile_optimizer"),
    *("torch.utils.model_zoo", "torch.utils.module_tracker", "torch.utils.tensorboard", "torch.version", "torch.xpu"),
    *("torch.__config__", "torch.__future__"),
)


def is_public(module: str) -> bool:
    """Return True if no part of a module's name is private."""
    return not any(part.startswith("_") and not part.endswith("__") for part in module.split("."))


def _modules() -> Iterator[ModuleType]:
    """Import the modules of PyTorch, and yield them."""
    queue, seen = ["torch", "functorch", *PRIVATE], set()
    while queue:
        name = queue.pop(0)
        if name in seen or (name.startswith(_SKIPPED) and name not in PRIVATE):
            continue
        seen.add(name)
        try:
            with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                module = importlib.import_module(name)
        except (Exception, SystemExit) as error:  # some modules need packages that are not installed, such as Triton
            print(f"{name}: {type(error).__name__}: {error}".splitlines()[0], file=sys.stderr)
            continue
        yield module
        if name not in ("torch._C", "torch._inductor", "torch._dynamo"):
            children = [child.name for child in pkgutil.iter_modules(getattr(module, "__path__", ()))]
            queue += [f"{name}.{child}" for child in children if child != "__main__"]
    yield from (module for name, module in list(sys.modules.items()) if name.startswith("torch.") and name not in seen)


def _defining_module(value: Any) -> str | None:
    """Return the name of the module in which an object is defined according to its attributes, or None."""
    with contextlib.suppress(Exception):  # some objects define every attribute
        home = value.__name__ if isinstance(value, ModuleType) else value.__module__
        return home if isinstance(home, str) else None
    return None


def _names(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield the names of a module and their values.

    For a public module, these are the names in its ``__all__`` or the names without an underscore that it defines, and
    for a private module, all names that it defines.
    """
    public = is_public(module.__name__)
    listed = vars(module).get("__all__") if public else None
    for name in sorted(vars(module) if listed is None else set(listed)):
        try:
            value = getattr(module, name)
        except (AttributeError, ImportError):
            continue
        if listed is not None or (not name.startswith("__" if not public else "_") and _is_own(module, value)):
            yield name, value


def _is_own(module: ModuleType, value: Any) -> bool:
    """Return True if a module defines a value: in Python, in C++ or, for a package, in one of its submodules.

    The modules of ``torch.quantization`` define the names that they import from their successors in ``torch.ao``.
    """
    home = _defining_module(value)
    if isinstance(value, ModuleType) or type(value).__module__ == "typing":
        return False
    below = hasattr(module, "__path__") and (home or "").startswith(f"{module.__name__}.")
    below = below or (home == "torch" and not is_public(module.__name__))
    successor = module.__name__.replace("torch.", "torch.ao.", 1)
    return below or home in (None, module.__name__, successor) or home.startswith("torch._C")


def _line(module: ModuleType) -> str:
    """Return ``module|classes|functions|values``, with ``name@home`` for a name that the module ``home`` defines."""
    fields: dict[str, list[str]] = {"class": [], "function": [], "value": []}
    for name, value in _names(module):
        kind = "class" if isinstance(value, type) else "function" if callable(value) else "value"
        home = _defining_module(value) if kind != "value" else None
        elsewhere = home is not None and home != module.__name__ and home.partition(".")[0] == "torch"
        fields[kind].append(f"{name}@{home}" if elsewhere else name)
    return "|".join([module.__name__, *(" ".join(names) for names in fields.values())])


def write() -> None:
    """Write PyTorch's interface into the file that flambeau-torch contains."""
    warnings.simplefilter("ignore")
    lines = set()
    for module in _modules():
        name = module.__name__
        wanted = is_public(name) and not name.startswith(_SKIPPED) and name.partition(".")[0] in ("torch", "functorch")
        if name in PRIVATE or wanted:
            lines.add(_line(module))
    FILE.write_bytes(gzip.compress(("\n".join(sorted(lines)) + "\n").encode(), mtime=0))
    print(f"{len(lines)} modules in {FILE}", flush=True)
    os._exit(0)  # some of PyTorch's optional modules abort the interpreter when it ends


def check(verbose: bool, at_least: float) -> bool:
    """Print how many names of PyTorch's modules resolve under the alias, and how many of these are implemented.

    Return True if the percentage of the documented names that resolve is at least ``at_least``.
    """
    warnings.simplefilter("ignore")
    import flambeau.torch

    flambeau.torch.install()
    from flambeau.torch import _absent

    rows = {"documented": Counter[str](), "public": Counter[str](), "private": Counter[str]()}
    by_module: dict[str, Counter[str]] = {}
    for line in gzip.decompress(FILE.read_bytes()).decode().splitlines():
        module, *fields = line.split("|")
        names = [name.partition("@")[0] for field in fields for name in field.split()]
        counter = by_module[module] = Counter()
        for name in names:
            try:
                value = getattr(importlib.import_module(module), name)
                status = "absent" if _absent.is_absent(value) else "there"
            except (ImportError, AttributeError):
                status = "missing"
            counter[status] += 1
            if verbose and status != "there":
                print(f"{status} {module}.{name}")
        for kind, counts in rows.items():
            if {"documented": module in DOCUMENTED, "public": is_public(module), "private": not is_public(module)}[
                kind
            ]:
                counts.update(counter)
    for module, counter in sorted(by_module.items(), key=lambda item: -item[1]["missing"] - item[1]["absent"]):
        if (lacking := counter["missing"] + counter["absent"]) and module in DOCUMENTED:
            print(f"{module}: {lacking} of {counter.total()} not implemented, {counter['missing']} of them missing")
    for kind, counts in rows.items():
        total = counts.total()
        print(
            f"{kind}: {total} names, {100 - 100 * counts['missing'] / total:.1f} % resolve, "
            f"{100 * counts['there'] / total:.1f} % implemented"
        )
    documented = rows["documented"]
    return 100 * (documented.total() - documented["missing"]) >= at_least * documented.total()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="read PyTorch and write its interface")
    parser.add_argument("--at-least", type=float, default=0, help="percentage of documented names that must resolve")
    parser.add_argument("-v", "--verbose", action="store_true", help="print every name that is not implemented")
    arguments = parser.parse_args()
    if arguments.write:
        write()
    else:
        sys.exit(not check(arguments.verbose, arguments.at_least))
