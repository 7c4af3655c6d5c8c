"""The layers of the C++ library: an include goes down them, never up. See docs/internals.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

# From the lowest; a layer may include those that its row names, and itself.
MAY_INCLUDE = {
    "plain": set(),  # numbers, errors, macros: headers that know no tensor
    "kernels": {"plain"},  # loops over memory, for the CPU and, in device, for GPUs
    "core": {"plain", "kernels"},  # tensors, memory, threads
    "cuda": {"plain", "kernels", "core"},  # the GPU's runtime and launches
    "operators": {"plain", "kernels", "core", "cuda"},
    "program": {"plain", "core", "operators"},
}
# The public headers of each layer, include/flambeau/*.h; the folders below it are kernels'.
HEADERS = {
    "plain": "checksum combine complex dtype element errors keys macros pointwise_op row_domain scalar "
    "signature small_vector",
    "core": "autograd elementwise elementwise_kernels gamma_variates interpreter memory memory_format parallel "
    "pointwise python random row_functions tensor tf32 thread_generator",
    "cuda": "array_library collectives cuda cuda_installation",
    "operators": "add_product distances extremes factorization grids linalg networks operator operators optimizer "
    "products recurrent sorting",
    "program": "program",
}
OWN = "packages/tensor-core"
LAYER_OF = {f"flambeau/{name}.h": layer for layer, names in HEADERS.items() for name in names.split()}
LAYER_OF |= dict.fromkeys(("flambeau/pointwise.def", "flambeau/families.def"), "plain")
# Includes that still go up.
KNOWN_EDGES = {
    "core/looked_up.cpp: flambeau/operators.h",
    "core/looked_up.cpp: operators/reductions/reduction.h",
    "core/operator.cpp: flambeau/operator.h",
    "core/pointwise.cpp: cuda/operators.h",
    "core/pointwise.cpp: flambeau/operators.h",
    "core/pointwise_derivative.cpp: cuda/operators.h",
    "core/pointwise_derivative.cpp: flambeau/operators.h",
    "core/registry.cpp: flambeau/operators.h",
    "core/run_kernel.cpp: flambeau/operators.h",
    "core/tensor.cpp: cuda/operators.h",
    "core/tensor.cpp: flambeau/operators.h",
    "cuda/copy.cpp: flambeau/operators.h",
    "cuda/division.h: flambeau/operators.h",
    "cuda/indexing.h: operators/indexing/indexing.h",
    "cuda/layers/attention.cpp: flambeau/operators.h",
    "cuda/layers/convolution.h: operators/convolution/convolution.h",
    "cuda/layers/ctc.cpp: flambeau/operators.h",
    "cuda/layers/grid_sample.cpp: flambeau/operators.h",
    "cuda/layers/losses.cpp: flambeau/operators.h",
    "cuda/layers/normalize.cpp: flambeau/operators.h",
    "cuda/layers/optimizer.cpp: flambeau/operators.h",
    "cuda/layers/optimizer.h: flambeau/optimizer.h",
    "cuda/layers/recurrent.h: operators/layers/recurrent.h",
    "cuda/layers/softmax.cpp: flambeau/operators.h",
    "cuda/libraries/cublaslt.cpp: flambeau/operators.h",
    "cuda/libraries/cudnn.cpp: flambeau/operators.h",
    "cuda/linalg/matrices.h: flambeau/operators.h",
    "cuda/pointwise.cpp: flambeau/operators.h",
    "cuda/random.cpp: flambeau/operators.h",
    "cuda/reduce.cpp: flambeau/operators.h",
    "cuda/runtime/pool.cpp: flambeau/operators.h",
    "cuda/runtime/pool.h: operators/images/resampling.h",
    "cuda/runtime/report.cpp: operators/creation/sample_errors.h",
    "cuda/scan.cpp: flambeau/operators.h",
    "cuda/selection.cpp: flambeau/operators.h",
    "cuda/sorting.cpp: flambeau/operators.h",
    "kernels/factorization.cpp: flambeau/memory.h",
    "kernels/table.h: flambeau/optimizer.h",
    "kernels/table.h: flambeau/pointwise.h",
    "program/program.cpp: flambeau/cuda.h",
}


def layer_of(header: str) -> str:
    """Return the layer of a file below src or include."""
    top, _, rest = header.partition("/")
    if top != "flambeau":
        return top
    if rest.startswith("rows/"):
        return "plain" if header.endswith(".def") else "core"
    return LAYER_OF.get(header, "kernels" if "/" in rest else "unknown")


def includes(root: Path) -> dict[str, list[str]]:
    """Return the headers of the library that each of its files includes."""
    found = {}
    for top in ("src", "include"):
        for path in sorted((root / OWN / top).rglob("*.*")):
            if path.suffix in (".h", ".cpp", ".def"):
                text = path.read_text()
                found[path.relative_to(root / OWN / top).as_posix()] = re.findall(r'^#include "([\w/.]+)"', text, re.M)
    return found


def upward(root: Path) -> set[str]:
    """Return the includes that go up, as "file: header"."""
    return {
        f"{name}: {header}"
        for name, headers in includes(root).items()
        for header in headers
        if layer_of(header) not in MAY_INCLUDE[layer_of(name)] | {layer_of(name)}
    }


def test_every_public_header_has_a_layer(root: Path) -> None:
    headers = {f"flambeau/{path.name}" for path in (root / OWN / "include/flambeau").glob("*.*")}
    assert headers == set(LAYER_OF)


def test_includes_go_down(root: Path) -> None:
    found = upward(root)
    assert not found - KNOWN_EDGES, "includes that go up: let the upper layer register what the lower one calls"
    assert not KNOWN_EDGES - found, "edges that are gone: remove them from KNOWN_EDGES"


@pytest.mark.parametrize("folder", ["src", "include/flambeau"])
def test_the_library_does_not_include_python(root: Path, folder: str) -> None:
    files = (path for path in (root / OWN / folder).rglob("*.*") if path.suffix in (".h", ".cpp"))
    assert [path.name for path in files if "<Python.h>" in path.read_text()] == ["python.h"] * folder.count("include")
