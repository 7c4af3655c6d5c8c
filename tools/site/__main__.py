"""``python -m tools.site SOURCE OUTPUT [serve]``: build the site. With ``serve``, also serve and rebuild it."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from sphinx.cmd.build import build_main

from tools.site.guides import PAGES, ROOT, copy_guides
from tools.site.notebooks import outputs_folder
from tools.site.reference_pages import write_reference

ADDRESS = ("127.0.0.1", 8000)


def build(source: Path, output: Path) -> int:
    """Write the sources of all pages, and build the pages that changed. Return an exit status."""
    copy_guides(source)
    write_reference(source / "api")
    os.environ["TORCH_EXTENSIONS_DIR"] = str(source.parent / "extensions")  # for extensions that tutorials compile
    how = ["-q", "-j", "auto", "-W", "--keep-going", "-b", "html", "-c", str(Path(__file__).parent)]
    how += ["-d", str(source.parent / "doctrees"), "-D", f"nb_execution_cache_path={outputs_folder(source.parent)}"]
    return build_main([*how, str(source), str(output)])


def times() -> dict[Path, float]:
    """Return the times of the last changes of the guides."""
    return {path: path.stat().st_mtime for path in PAGES if path.exists()}


def serve(source: Path, output: Path) -> None:
    """Serve the site on this machine, and build it again when a guide changes."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(output))
    server = http.server.ThreadingHTTPServer(ADDRESS, handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://{ADDRESS[0]}:{ADDRESS[1]} (Ctrl-C ends)", flush=True)
    seen = times()
    while True:
        time.sleep(1)
        if (current := times()) != seen:
            seen = current
            # Each build runs in a new process, because Sphinx keeps state in its modules.
            subprocess.run([sys.executable, "-m", "tools.site", str(source), str(output)], check=False, cwd=ROOT)


def main(source: Path, output: Path, *commands: str) -> int:
    """Build the site, and serve it if ``commands`` contains ``serve``."""
    status = build(source, output)
    if "serve" in commands:
        serve(source, output)
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), *sys.argv[3:]))
