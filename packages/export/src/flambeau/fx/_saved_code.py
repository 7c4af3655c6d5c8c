"""Export of a graph module as a Python package."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import flambeau
from flambeau import nn
from flambeau._naming import library_name

from ._names import known_names

if TYPE_CHECKING:
    from .graph_module import GraphModule

# Layers whose repr() is an expression that creates them.
_REPRESENTABLE_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

_HEAD = """\
{imports}

from flambeau.nn import *


class {name}({library}.nn.Module):
    def __init__(self):
        super().__init__()
"""


def write_folder(module: GraphModule, folder: Path, name: str) -> None:
    """Write ``module.py``, the state, and, with a warning, a pickle of each layer that repr() cannot recreate."""
    folder.mkdir(exist_ok=True)
    flambeau.save(module.state_dict(), folder / "state_dict.pt")
    library = library_name()
    lines = []
    pickled = []
    for child_name, child in module.named_children():
        if type(child) in _REPRESENTABLE_LAYERS:
            lines.append(f"setattr(self, '{child_name}', {child!r})")
        else:
            file = folder / f"{child_name}.pt"
            flambeau.save(child, file)
            pickled.append(child_name)
            lines.append(f"setattr(self, '{child_name}', {library}.load(r'{file}', weights_only=False))")
    for key, buffer in module._buffers.items():
        if buffer is not None:
            lines.append(f"self.register_buffer('{key}', {library}.empty({list(buffer.shape)}, dtype={buffer.dtype}))")
    for key, parameter in module._parameters.items():
        if parameter is not None:
            tensor_code = f"{library}.empty({list(parameter.shape)}, dtype={parameter.dtype})"
            lines.append(f"setattr(self, '{key}', {library}.nn.Parameter({tensor_code}))")
    lines.append(f"self.load_state_dict({library}.load(r'{folder}/state_dict.pt'))")
    imports = "\n".join(known.import_str for known in known_names().values())
    source = _HEAD.format(imports=imports, library=library, name=name) + "".join(f"        {line}\n" for line in lines)
    source += "\n".join(f"    {line}" if line else "" for line in module.code.split("\n"))
    (folder / "module.py").write_text(source + "\n")
    (folder / "__init__.py").write_text("from .module import *")
    if pickled:
        warnings.warn(
            f"Was not able to save the following children modules as reprs -saved as pickled files instead: {pickled}",
            stacklevel=3,
        )
