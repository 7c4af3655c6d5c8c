"""jaxtyping: shapes and dtypes as annotations."""

# ruff: noqa: F722, F821 (shapes are not names)

import torch
from beartype import beartype
from jaxtyping import Float, Int, TypeCheckError, jaxtyped

from tools.ecosystem.cases import integers, normal


@jaxtyped(typechecker=beartype)
def _gathered(table: Float[torch.Tensor, "n d"], index: Int[torch.Tensor, "m"]) -> Float[torch.Tensor, "m d"]:
    return table[index]


def checked():
    results = {"right": _gathered(normal(4, 3), integers(4, 5))}
    for name, arguments in {
        "dtype": (normal(4, 3), normal(5)),
        "rank": (normal(4), integers(4, 5)),
    }.items():
        try:
            _gathered(*arguments)
            results[name] = "accepted"
        except TypeCheckError as error:
            results[name] = type(error).__name__
    x = normal(2, 3)
    results["instances"] = [isinstance(x, Float[torch.Tensor, shape]) for shape in ("2 3", "3 2", "...", "a b")]
    return results
