"""A local web server for downloads, and writers of MNIST's files."""

from __future__ import annotations

import gzip
import http.server
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import flambeau as fb

sys.path.insert(0, str(Path(__file__).parent))  # several tests import modules in this folder

from published_files import idx


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Seed the default generator, so that weights and augmentations are reproducible."""
    fb.manual_seed(0)


class Server:
    """State of the local web server: its files by name, its simulated faults and the requests that it got."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.ranges = True
        self.break_after: int | None = None
        self.requests: list[tuple[str, str | None]] = []
        self.url = ""

    def mirror(self, name: str) -> str:
        """Return the address of the folder ``name`` on this server."""
        return f"{self.url}/{name}/"


class Handler(http.server.BaseHTTPRequestHandler):
    files: Server

    def do_GET(self) -> None:
        name, asked = self.path.lstrip("/"), self.headers["Range"]
        self.files.requests.append((name, asked))
        if name not in self.files.files:
            self.send_error(404)
            return
        content = self.files.files[name]
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.files.ranges else None
        if start is not None and start >= len(content):
            self.send_error(416)
            return
        body = content[start or 0 :]
        self.send_response(200 if start is None else 206)
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.files.break_after])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    state = Server()
    handler = type("BoundHandler", (Handler,), {"files": state})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as listener:
        state.url = f"http://127.0.0.1:{listener.server_port}"
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        listener.shutdown()
        thread.join()


Writer = Callable[..., Path]


@pytest.fixture
def write_idx() -> Writer:
    """Write an idx file and return its path."""

    def write(path: Path, array: np.ndarray, code: int = 0x08) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(idx(array, code))
        return path

    return write


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of published files next to the repository; skip the test if it is missing."""
    folder = Path(__file__).resolve().parents[4] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no published files beside the repository")
    return folder


@pytest.fixture
def write_mnist(tmp_path: Path) -> Writer:
    """Write the two files of a split and return their folder."""

    def write(
        images: np.ndarray, labels: np.ndarray, train: bool = True, folder: str = ".", packed: bool = False
    ) -> Path:
        target = tmp_path / folder
        target.mkdir(parents=True, exist_ok=True)
        prefix = "train" if train else "t10k"
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            path, content = target / f"{prefix}-{name}-ubyte", idx(array)
            if packed:
                path, content = path.with_name(path.name + ".gz"), gzip.compress(content)
            path.write_bytes(content)
        return tmp_path

    return write


def smooth_image(height: int = 33, width: int = 47) -> np.ndarray:
    """Return an image of smooth waves in three colours, uint8 (H, W, 3), which interpolation approximates well."""
    y, x = np.mgrid[:height, :width]
    waves = [127 + 60 * np.sin(x / 5 + phase) + 60 * np.cos(y / 7 + phase) for phase in range(3)]
    return np.stack(waves, axis=-1).astype(np.uint8)


@pytest.fixture
def picture() -> Image.Image:
    """Return a PIL image with smooth colours."""
    return Image.fromarray(smooth_image())


@pytest.fixture
def noise() -> Image.Image:
    """Return a PIL image of random pixels."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (33, 47, 3), dtype=np.uint8))
