"""Learning-rate schedulers. Call ``step()`` once per epoch, after the steps of the optimizer."""

from flambeau import _suggestions

from ._base import (
    EPOCH_DEPRECATION_WARNING as EPOCH_DEPRECATION_WARNING,  # programs compare warning texts with it
    LRScheduler,
    _enable_get_lr_call as _enable_get_lr_call,
    _warn_get_lr_called_within_step as _warn_get_lr_called_within_step,
)
from ._combined import ChainedScheduler, SequentialLR
from ._cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from ._cyclic import CyclicLR, OneCycleLR
from ._multiplied import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from ._plateau import ReduceLROnPlateau


class _LRScheduler(LRScheduler):
    """The former name of LRScheduler. As in PyTorch, it is a subclass, of which no scheduler here is an instance."""


__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]

_suggestions.suggest_names(__name__)
