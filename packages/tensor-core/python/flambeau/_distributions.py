"""Import errors for modules of flambeau in distributions that are not installed."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

# Maps each module of another distribution, relative to flambeau, to the distribution.
DISTRIBUTIONS = {
    "__future__": "flambeau-nn",
    "autograd": "flambeau-autograd",
    "compiler": "flambeau-export",
    "data": "flambeau-data",
    "distributed": "flambeau-distributed",
    "distributions": "flambeau-distributions",
    "export": "flambeau-export",
    "func": "flambeau-autograd",
    "fx": "flambeau-export",
    "jit": "flambeau-export",
    "library": "flambeau-autograd",
    "mps": "flambeau-torch",
    "nn": "flambeau-nn",
    "onnx": "flambeau-export",
    "optim": "flambeau-optim",
    "profiler": "flambeau-autograd",
    "torch": "flambeau-torch",
    "utils._python_dispatch": "flambeau-autograd",
    "utils.checkpoint": "flambeau-autograd",
    "utils.data": "flambeau-data",
    "utils.flop_counter": "flambeau-export",
    "vision": "flambeau-vision",
    "xpu": "flambeau-torch",
}
SUBPACKAGES = tuple(name for name in DISTRIBUTIONS if "." not in name)

# Maps each extension point (see _extension_points) that loads on first use to the module of DISTRIBUTIONS that
# registers it.
REGISTERED_BY = {
    "Buffer": "nn",
    "Parameter": "nn",
    "aten_layers": "nn",
    "dispatch_handler": "utils._python_dispatch",
    "load_script": "jit",
    "make_graphed_callables": "autograd",
    "raise_in_backward": "autograd",
    "require_grad": "autograd",
    "tensor_method": "autograd",
}


@cache
def is_installed(module: str) -> bool:
    """Return True if a module of DISTRIBUTIONS can be imported."""
    import importlib.util  # imported on first use because the import takes a fraction of a millisecond

    return importlib.util.find_spec(f"flambeau.{module}") is not None


class MissingDistributions:
    """Module finder that raises an error with the distribution to install if no other finder found the module."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Raise ModuleNotFoundError for an import of a module in DISTRIBUTIONS."""
        distribution = DISTRIBUTIONS.get(name[len("flambeau.") :]) if name.startswith("flambeau.") else None
        # importlib.util.find_spec() also calls this finder, and must return None for a missing module.
        if distribution is None or sys._getframe(2).f_code.co_name != "_find_and_load_unlocked":
            return None
        raise ModuleNotFoundError(
            f"{name} is not installed; it comes with the distribution {distribution}: pip install {distribution}",
            name=name,
        )


def install() -> None:
    """Make the import of a missing module raise an error that names the distribution to install."""
    if MissingDistributions not in sys.meta_path:
        sys.meta_path.append(MissingDistributions)
