"""Access to intermediate outputs of a model."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import flambeau as fb
from flambeau import nn


class IntermediateLayerGetter(nn.ModuleDict):
    """Module that runs the children of a model up to the last requested one and returns the requested outputs.

    The model must call each child once, in the order of registration. The module shares its parameters with the model.

    Args:
        model: the model, such as a ResNet.
        return_layers: dictionary that maps the name of each requested child to the name of its output.

    Returns of forward: outputs by their names, in the order of the children.
    Raises: ValueError if a name in ``return_layers`` is not a child of the model.

    >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2), nn.ReLU())
    >>> outputs = IntermediateLayerGetter(model, {"0": "a", "2": "b"})(fb.zeros(1, 4))
    >>> {name: tuple(output.shape) for name, output in outputs.items()}
    {'a': (1, 3), 'b': (1, 2)}
    """

    def __init__(self, model: nn.Module, return_layers: Mapping[str, Any]) -> None:
        names = {str(name): str(output) for name, output in return_layers.items()}
        children = dict(model.named_children())
        if not names.keys() <= children.keys():
            missing = ", ".join(sorted(names.keys() - children.keys()))
            raise ValueError(f"return_layers are not present in model: {missing}")
        last = max((list(children).index(name) for name in names), default=-1)
        super().__init__(list(children.items())[: last + 1])
        self.return_layers = return_layers
        self._outputs = names

    def forward(self, x: Any) -> OrderedDict[str, fb.Tensor]:
        out: OrderedDict[str, fb.Tensor] = OrderedDict()
        for name, module in self.items():
            x = module(x)
            if name in self._outputs:
                out[self._outputs[name]] = x
        return out
