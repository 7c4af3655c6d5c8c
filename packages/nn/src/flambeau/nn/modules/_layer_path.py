"""Notes on exceptions, with the path of the layer that raised them.

Note [Layer paths]: a module does not know its name; only its parent does. An exception that leaves a module gets a note
about this module. Each enclosing module that the exception passes finds the module of the note among its submodules,
and prepends the path to the note. Calls that raise no exception have no overhead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from flambeau._suggestions import complete

if TYPE_CHECKING:
    from .module import Module


class LayerNote(str):
    """Text of a note on an exception, with the data that the enclosing module needs to extend the path."""

    __slots__ = ("layer", "path", "root")

    root: Module
    path: str
    layer: str

    def __new__(cls, root: Module, path: str, layer: str) -> Self:
        name = type(root).__name__
        note = super().__new__(cls, f"in {name}.{path} ({layer})" if path else f"in {layer}")
        note.root, note.path, note.layer = root, path, layer
        return note

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (str(self),)


def add_layer_path(error: Exception, module: Module) -> None:
    """Add a note to ``error`` with the path of the layer of ``module`` that raised it."""
    notes = getattr(error, "__notes__", [])
    index = next((index for index, note in enumerate(notes) if isinstance(note, LayerNote)), None)
    if index is None:
        if isinstance(error, AttributeError):
            complete(error)
        error.add_note(LayerNote(module, "", _description(module)))
        return
    inner: LayerNote = notes[index]
    if "_modules" not in vars(module):
        return
    for path, candidate in module.named_modules():
        if candidate is inner.root:
            notes[index] = LayerNote(module, ".".join(filter(None, (path, inner.path))), inner.layer)
            return


def _description(module: Module) -> str:
    """Return the layer's repr if it is a single line, otherwise its type name."""
    try:
        text = repr(module)
    except Exception:
        text = ""
    return text if text and "\n" not in text else f"{type(module).__name__}(...)"
