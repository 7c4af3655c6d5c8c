"""What programs ask of a GPU before they use one. There is no CUDA backend: every answer is that there is none."""

from typing import NoReturn


def is_available() -> bool:
    """Whether tensors can live on a GPU: False."""
    return False


def device_count() -> int:
    """The number of GPUs that can be used: 0."""
    return 0


def manual_seed(seed: int) -> None:
    """Seeds the GPU's generator; there is none, so this does nothing, as in PyTorch without a GPU."""


manual_seed_all = manual_seed


def __getattr__(name: str) -> NoReturn:
    if name.startswith("__"):
        raise AttributeError(f"module 'flambeau.cuda' has no attribute '{name}'")
    raise NotImplementedError(f"flambeau.cuda.{name} is not there: flambeau has no CUDA backend yet.")


def __dir__() -> list[str]:
    return ["device_count", "is_available", "manual_seed", "manual_seed_all"]
