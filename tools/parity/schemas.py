"""``python -m tools.parity.schemas``: compare the stored schemas of operators with PyTorch's, or ``--write`` them.

The file is ``aten_schemas.txt.gz`` in packages/autograd, for ``flambeau.library._aten_schemas``. It contains PyTorch's
schemas of the operators that flambeau has. Without ``--write``, print the schemas in the file that PyTorch no longer
has.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import re
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[2] / "packages/autograd/python/flambeau/library/aten_schemas.txt.gz"
COMPOSITE = "~"  # mark of an operator that PyTorch composes of other operators
USUAL_RESULT = " -> Tensor"  # the file omits this result


def _is_public_schema(schema: str, names: set[str]) -> bool:
    name = re.split(r"[.(]", schema, maxsplit=1)[0]
    base = name.removesuffix("_out").removesuffix("_backward").rstrip("_") or name
    return "Dimname" not in schema and bool({name, base} & names)


def lines(names: set[str]) -> list[str]:
    """Return the schemas of the dispatcher's operators with these names and of their derivatives, sorted."""
    torch: Any = importlib.import_module("torch")
    texts = []
    for each in torch._C._jit_get_all_schemas():
        qualified = each.name + (f".{each.overload_name}" if each.overload_name else "")
        if not each.name.startswith("aten::") or not torch._C._dispatch_has_kernel(qualified):
            continue
        text = str(each).removeprefix("aten::").removesuffix(USUAL_RESULT)
        if _is_public_schema(text, names):
            composite = torch._C._dispatch_has_kernel_for_dispatch_key(qualified, "CompositeImplicitAutograd")
            texts.append((COMPOSITE if composite else "") + text)
    return sorted(texts, key=lambda line: line.lstrip(COMPOSITE))


def main() -> None:
    """Write the file, or compare it with PyTorch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the file")
    write = parser.parse_args().write
    flambeau: Any = importlib.import_module("flambeau")
    now = lines(set(dir(flambeau.ops.aten)))
    if write:
        FILE.write_bytes(gzip.compress(("\n".join(now) + "\n").encode(), mtime=0))
    else:
        print("\n".join(sorted(set(gzip.decompress(FILE.read_bytes()).decode().splitlines()) - set(now))))


if __name__ == "__main__":
    main()
