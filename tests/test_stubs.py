"""Tests that the type stub of the native module agrees with the registry and has all public names."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from flambeau import _core

ROOT = Path(__file__).resolve().parents[1]
STUB = ROOT / "packages" / "tensor-core" / "python" / "flambeau" / "_core.pyi"


def defined(body: list[ast.stmt]) -> set[str]:
    """Return the names that a module or a class defines."""
    return {name for node in body for name in (getattr(node, "name", None), target(node)) if name}


def target(node: ast.stmt) -> str | None:
    return node.target.id if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) else None


def public(value: object) -> set[str]:
    return {name for name in vars(value) if not name.startswith("_")}


def test_the_stub_is_generated_from_the_registry() -> None:
    command = [sys.executable, "-m", "tools.stubs", "--check"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stderr == ""


def test_the_stub_has_every_public_name() -> None:
    assert public(_core) - defined(ast.parse(STUB.read_text()).body) == set()


def test_the_stub_has_every_public_attribute_of_its_classes() -> None:
    classes = {node.name: node for node in ast.parse(STUB.read_text()).body if isinstance(node, ast.ClassDef)}
    for kind in (_core.Tensor, _core.dtype, _core.device, _core.Generator, _core.Size):
        assert public(kind) - defined(classes[kind.__name__].body) == set()
