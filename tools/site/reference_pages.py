"""Pages of the API reference, which are written again only if their inputs changed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import flambeau

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = (".py", ".cpp", ".h", ".def")


def write_reference(folder: Path) -> None:
    """Write the pages into a folder, unless they are up to date with the sources and installed packages."""
    stamp, current = folder.parent / "reference_fingerprint.txt", fingerprint()
    if folder.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == current:
        return
    stamp.unlink(missing_ok=True)  # if writing fails, there is no stamp
    # A new process loads the current version of the packages that the reference describes.
    subprocess.run([sys.executable, "-m", "tools.reference", str(folder)], check=True, cwd=ROOT)
    stamp.write_text(current, encoding="utf-8")


def fingerprint() -> str:
    """Return a hash of the inputs of the reference: sources, compiled libraries, and installed distributions."""
    digest = hashlib.sha256(sys.version.encode())
    for path in inputs():
        digest.update(f"{path} {path.stat().st_size} ".encode() + path.read_bytes())
    installed = {f"{each.name} {each.version}" for each in importlib.metadata.distributions()}
    digest.update("\n".join(sorted(installed)).encode())
    return digest.hexdigest()


def inputs() -> Iterator[Path]:
    """Yield the sources of the packages and of the reference's generator, and the installed libraries."""
    folders = [*ROOT.glob("packages/*/*"), ROOT / "tools/reference"]
    for folder in sorted(folders):
        if folder.name in ("python", "src", "include", "bindings", "reference"):
            yield from (path for path in sorted(folder.rglob("*")) if path.suffix in SUFFIXES)
    for folder in map(Path, flambeau.__path__):
        yield from sorted(folder.rglob("*.so"))
