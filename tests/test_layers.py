"""Tests that files of the C++ library include only headers of the same layer or a lower one. See docs/internals.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

# The layers, the lowest first, and the other layers whose headers the files of each may include.
MAY_INCLUDE = {
    "plain": set(),  # numbers, errors, macros: headers that do not use tensors
    "platform": set(),  # calls to the operating system
    "kernels": {"plain", "platform"},  # loops over memory
    "core": {"plain", "platform", "kernels"},  # tensors, copies, memory, threads
    "tasks": {"plain", "kernels", "core"},  # arguments for backends, such as the sizes of a convolution
    "device": {"plain", "kernels"},  # kernels of GPUs, compiled at run time
    "cuda": {"plain", "platform", "kernels", "device", "core", "tasks"},  # the GPU's runtime and launches
    "operators": {"plain", "kernels", "core", "tasks", "cuda"},
    "program": {"plain", "core", "cuda", "operators"},
}
# The public headers include/flambeau/*.h of each layer. A header in a subfolder belongs to the layer with its name.
HEADERS = {
    "plain": "checksum complex dtype element errors fork_safe_mutex macros pointwise_domain pointwise_op scalar "
    "scalar_type signature small_vector",
    "core": "autograd copies dispatched_gradients guarded_calls interpreter kept_values memory memory_format "
    "out_argument parallel pointwise_row python pytorch_stream random tensor thread_generator training_hooks",
    "cuda": "cuda",
    "operators": "elementwise elementwise_kernels operator operators pointwise pointwise_functions",
    "program": "program",
}
OWN = "packages/tensor-core"
COMPILER_HEADERS = {"cpuid.h", "cxxabi.h", "emmintrin.h", "immintrin.h"}  # they are the same on all systems
LAYER_OF = {f"flambeau/{name}.h": layer for layer, names in HEADERS.items() for name in names.split()}
LAYER_OF |= dict.fromkeys(("flambeau/pointwise.def", "flambeau/families.def", "flambeau/reductions.def"), "plain")


def layer_of(header: str) -> str:
    """Return the layer of a file below src or include."""
    top, _, rest = header.partition("/")
    if top != "flambeau":
        return top
    if rest.startswith("pointwise/"):
        return "plain" if header.endswith(".def") else "operators"
    return rest.split("/")[0] if "/" in rest else LAYER_OF[header]


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
    """Return the includes of higher layers, as "file: header"."""
    return {
        f"{name}: {header}"
        for name, headers in includes(root).items()
        for header in headers
        if layer_of(header) not in MAY_INCLUDE[layer_of(name)] | {layer_of(name)}
    }


def test_every_public_header_belongs_to_an_architecture_layer(root: Path) -> None:
    headers = {f"flambeau/{path.name}" for path in (root / OWN / "include/flambeau").glob("*.*")}
    assert headers == set(LAYER_OF)


def test_headers_include_only_lower_layers(root: Path) -> None:
    assert not upward(root), "includes that go up: let the upper layer register what the lower one calls"


@pytest.mark.parametrize("owner", ["tensor-core", "autograd"])
def test_only_platform_includes_headers_of_the_operating_system(root: Path, owner: str) -> None:
    files = [path for top in ("src", "include") for path in sorted((root / "packages" / owner / top).rglob("*.*"))]
    assert files
    found = {
        f"{path.relative_to(root)}: {header}"
        for path in files
        if path.suffix in (".h", ".cpp") and root / OWN / "src/platform" not in path.parents
        for header in re.findall(r"^ *#include <(.+\.h)>", path.read_text(), re.M)  # C++'s own have no suffix
        if header not in COMPILER_HEADERS and not header.startswith("flambeau/")
    }
    assert found <= {"packages/tensor-core/include/flambeau/python.h: Python.h"}


@pytest.mark.parametrize("owner", ["tensor-core", "autograd"])
@pytest.mark.parametrize("folder", ["src", "include"])
def test_the_library_does_not_include_python(root: Path, owner: str, folder: str) -> None:
    files = [path for path in (root / "packages" / owner / folder).rglob("*.*") if path.suffix in (".h", ".cpp")]
    assert files
    python = re.compile(r'^#include [<"](Python\.h|pybind11/|flambeau/python\.h)', re.M)
    included = [path.name for path in files if python.search(path.read_text())]
    assert included == (["python.h"] if (owner, folder) == ("tensor-core", "include") else [])
