"""Mixed precision: operators in the dtype that suits them (`autocast`), and gradients that do not vanish in float16
(`GradScaler`).

    scaler = flambeau.amp.GradScaler("cpu")
    for input, target in batches:
        optimizer.zero_grad()
        with flambeau.autocast("cpu"):
            loss = criterion(model(input), target)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

bfloat16 has the exponents of float32 and needs no scaler.
"""

from .autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from .grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
