from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from flambeau.vision.datasets._download import download

CONTENT = np.random.default_rng(0).bytes(300_000)
MD5 = hashlib.md5(CONTENT).hexdigest()
ASIDE = np.random.default_rng(1).bytes(1000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "file.gz"


def part_of(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def begin(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    part_of(path).write_bytes(content)


def test_a_downloaded_file_is_complete(server, path: Path) -> None:
    server.files["file.gz"] = CONTENT
    download([f"{server.url}/file.gz"], path, MD5)
    assert path.read_bytes() == CONTENT and not part_of(path).exists()
    assert server.requests == [("file.gz", None)]


def test_a_download_resumes_after_a_broken_connection(server, path: Path) -> None:
    server.files["file.gz"] = CONTENT
    server.break_after = 100_000
    with pytest.raises(RuntimeError, match="the connection ended after 100000 of 300000 bytes"):
        download([f"{server.url}/file.gz"], path, MD5)
    assert part_of(path).read_bytes() == CONTENT[:100_000] and not path.exists()

    server.break_after = None
    download([f"{server.url}/file.gz"], path, MD5)
    assert path.read_bytes() == CONTENT and not part_of(path).exists()
    assert server.requests[1:] == [("file.gz", "bytes=100000-")]


def test_the_next_mirror_resumes_the_download(server, path: Path) -> None:
    server.files["a"] = server.files["b"] = CONTENT
    server.break_after = 200_000
    download([f"{server.url}/a", f"{server.url}/b"], path, MD5)
    assert path.read_bytes() == CONTENT
    assert server.requests == [("a", None), ("b", "bytes=200000-")]


def test_a_download_restarts_if_the_server_lacks_range_requests(server, path: Path) -> None:
    server.files["file.gz"], server.ranges = CONTENT, False
    begin(path, CONTENT[:1000])
    download([f"{server.url}/file.gz"], path, MD5)
    assert path.read_bytes() == CONTENT
    assert server.requests == [("file.gz", "bytes=1000-")]


def test_a_complete_partial_file_is_not_downloaded_again(server, path: Path) -> None:
    server.files["file.gz"] = CONTENT
    begin(path, CONTENT)
    download([f"{server.url}/file.gz"], path, MD5)
    assert path.read_bytes() == CONTENT
    assert server.requests == [("file.gz", "bytes=300000-")]


@pytest.mark.parametrize("beginning", [ASIDE, ASIDE * 400], ids=["shorter", "longer"])
def test_a_partial_file_of_other_content_is_discarded(server, path: Path, beginning: bytes) -> None:
    server.files["file.gz"] = CONTENT
    begin(path, beginning)
    download([f"{server.url}/file.gz"], path, MD5)
    assert path.read_bytes() == CONTENT
    assert server.requests == [("file.gz", f"bytes={len(beginning)}-"), ("file.gz", None)]


def test_a_corrupt_file_is_removed_and_both_checksums_are_named(server, path: Path) -> None:
    server.files["file.gz"] = ASIDE
    found = hashlib.md5(ASIDE).hexdigest()
    with pytest.raises(RuntimeError, match=rf"corrupt \(expected MD5 {MD5}, found {found}\) and was removed"):
        download([f"{server.url}/file.gz"], path, MD5)
    assert list(path.parent.iterdir()) == []


def test_the_next_mirror_is_tried_after_a_corrupt_download(server, path: Path) -> None:
    server.files.update(a=ASIDE, b=CONTENT)
    download([f"{server.url}/a", f"{server.url}/b"], path, MD5)
    assert path.read_bytes() == CONTENT


def test_the_error_names_all_mirrors_that_do_not_respond(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    urls = ["http://127.0.0.1:1/a", "http://127.0.0.1:1/b"]
    with pytest.raises(RuntimeError, match=r"could not download file\.gz:\n.*/a: .*refused.*\n.*/b: .*refused"):
        download(urls, path, MD5)
    assert list(path.parent.iterdir()) == []


def test_a_full_disk_raises_without_trying_another_mirror(server, path: Path) -> None:
    server.files.update(a=CONTENT, b=CONTENT)
    path.parent.mkdir()
    part_of(path).symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device: '.*/file.gz.part'") as caught:
        download([f"{server.url}/a", f"{server.url}/b"], path, MD5)
    assert caught.value.errno == errno.ENOSPC
    assert [name for name, _ in server.requests] == ["a"] and not path.exists()


@pytest.fixture
def read_only() -> Iterator[Path]:
    """Yield a folder that this process cannot write to, even as root."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        if user == 0:
            os.seteuid(65534)
        yield Path(folder)
        os.seteuid(user)
        os.chmod(folder, 0o755)


def test_the_error_names_a_read_only_folder(server, read_only: Path) -> None:
    server.files["file.gz"] = CONTENT
    with pytest.raises(PermissionError, match=r"Permission denied: '.*/file.gz.part'"):
        download([f"{server.url}/file.gz"], read_only / "file.gz", MD5)
    with pytest.raises(PermissionError, match=r"Permission denied: '.*/folder'"):
        download([f"{server.url}/file.gz"], read_only / "folder" / "file.gz", MD5)
    assert list(read_only.iterdir()) == []
