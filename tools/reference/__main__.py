"""``python -m tools.reference FOLDER``: write the API reference as Markdown."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.reference.pages import texts


def main(folder: Path) -> None:
    """Write every page whose text changed, and delete the pages that no longer exist."""
    written = set()
    for name, text in texts():
        path = folder / f"{name}.md"
        written.add(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in set(folder.rglob("*.md")) - written:
        path.unlink()
    print(f"{folder}: {len(written)} pages")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
