"""Functions that add the common arguments and an example to the docstrings of model builders."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

_WEIGHTS = """\
Args:
    weights: None for random weights; published weights, which are downloaded at first use, as a member of
        ``get_model_weights("{name}")`` or its name, such as ``"DEFAULT"``; or the path of a saved
        ``state_dict``, also of PyTorch. Published weights set the options that they require.
    progress: if True, show the progress of downloads.
"""

_OPTIONS = """\
    pretrained: if True, use the first published weights; older form of ``weights``.
    options: arguments of the model's class, such as ``num_classes``.
"""

_BACKBONE = """\
    num_classes: number of classes with the background; None for {num_classes}.
    weights_backbone: weights of the backbone if ``weights`` is None, in the same form; None for random weights.
"""

_STAGES = """\
    trainable_backbone_layers: number of trainable stages of a pretrained backbone, counted from the last, 0 to
        {stages}; None for {learning}. If the backbone is not pretrained, all stages are trainable.
"""

_BACKBONE_OPTIONS = """\
    pretrained, pretrained_backbone: if True, use the first published weights; older form of ``weights`` and
        ``weights_backbone``.
    options: further arguments of the model.
"""

_IMAGES = """\
>>> with fb.device("meta"):  # allocates no memory
...     model = {name}(num_classes=10).eval()
>>> model(fb.zeros(1, 3, {size}, device="meta")).shape
flambeau.Size([1, 10])
"""

_PIXELS = """\
>>> with fb.device("meta"):  # allocates no memory
...     model = {name}(weights_backbone=None, num_classes=5).eval()
>>> model(fb.zeros(1, 3, 64, 96, device="meta"))["out"].shape
flambeau.Size([1, 5, 64, 96])
"""


def of_classifier(builder: Callable[..., Any], size: str) -> str | None:
    """Return the docstring of a classifier's builder. ``size`` is the input size in the example: ``"224, 224"``."""
    return _complete_docstring(builder, _WEIGHTS + _OPTIONS, _IMAGES, size=size)


def of_segmentation(builder: Callable[..., Any], num_classes: int) -> str | None:
    """Return the docstring of the builder of a segmentation model."""
    return _complete_docstring(builder, _WEIGHTS + _BACKBONE + _BACKBONE_OPTIONS, _PIXELS, num_classes=num_classes)


def of_detector(builder: Callable[..., Any], num_classes: int, stages: int, learning: int) -> str | None:
    """Return the docstring of the builder of a detector, whose docstring already has an example."""
    arguments = _WEIGHTS + _BACKBONE + _STAGES + _BACKBONE_OPTIONS
    return _complete_docstring(builder, arguments, "", num_classes=num_classes, stages=stages, learning=learning)


def _complete_docstring(builder: Callable[..., Any], arguments: str, example: str, **facts: Any) -> str | None:
    """Insert the arguments after the summary of a docstring, and append the example."""
    if builder.__doc__ is None:  # docstrings are disabled (python -OO)
        return None
    summary, *others = inspect.cleandoc(builder.__doc__).split("\n\n")
    added = (text.format(name=builder.__name__, **facts).rstrip() for text in (arguments, example))
    return "\n\n".join(part for part in (summary, next(added), *others, next(added)) if part)
