"""Automatic mixed precision.

`autocast` runs each operator in a suitable dtype. `GradScaler` prevents underflow of float16 gradients.

    scaler = flambeau.amp.GradScaler("cpu")
    for input, target in batches:
        optimizer.zero_grad()
        with flambeau.autocast("cpu"):
            loss = criterion(model(input), target)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

bfloat16 has the same exponent range as float32 and does not need a scaler.
"""

from .autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from .grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
