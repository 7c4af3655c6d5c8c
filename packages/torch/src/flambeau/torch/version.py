"""Value of ``torch.__version__``: the version of PyTorch whose interface flambeau follows."""

import flambeau

__all__ = ["TorchVersion", "__version__", "cuda", "debug", "git_version", "hip", "xpu"]


def _release(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: (2, 13, 0) for "2.13.0+cpu"."""
    numbers = []
    for part in version.partition("+")[0].split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers)


class TorchVersion(str):
    """Version as text. Comparisons with text and with tuples compare versions, not characters.

    >>> TorchVersion("2.13.0+cpu") > "2.2"
    True
    >>> TorchVersion("2.13.0") >= (2, 13)
    True
    """

    def _compared(self, other: object) -> tuple[tuple[int, ...], tuple[int, ...]]:
        theirs = tuple(other) if isinstance(other, tuple) else _release(str(other))
        own, length = _release(self), max(len(_release(self)), len(theirs))
        return own + (0,) * (length - len(own)), theirs + (0,) * (length - len(theirs))

    def __lt__(self, other: object) -> bool:
        own, theirs = self._compared(other)
        return own < theirs

    def __le__(self, other: object) -> bool:
        own, theirs = self._compared(other)
        return own <= theirs

    def __gt__(self, other: object) -> bool:
        return not self <= other

    def __ge__(self, other: object) -> bool:
        return not self < other


__version__ = TorchVersion(f"2.13.0+flambeau{flambeau.__version__}")
cuda: str | None  # see __getattr__
hip = xpu = None
debug = False
git_version = "unknown"


def __getattr__(name: str) -> str | None:
    if name != "cuda":
        raise AttributeError(f"module 'torch.version' has no attribute '{name}'")
    return flambeau.version.cuda
