"""``python -m tools.reference FOLDER``: writes the reference as Markdown, a page for each module and an index."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.reference.pages import page, pages


def main(folder: Path) -> None:
    """Write every page and the index."""
    folder.mkdir(parents=True, exist_ok=True)
    index = ["# Reference", ""]
    for name, listed in pages():
        (folder / f"{name}.md").write_text(page(name, listed))
        index.append(f"- [{name}]({name}.md): {len(listed)} functions")
    (folder / "README.md").write_text("\n".join(index) + "\n")
    print(f"{folder}: {len(index) - 2} pages")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
