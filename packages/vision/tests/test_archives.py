from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest

import flambeau
from flambeau import vision
from flambeau.vision.datasets import utils

CONTENT = b"what the file holds" * 100


def archive(kind: str, name: str = "folder/file.txt") -> bytes:
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as packed:
            packed.writestr(name, CONTENT)
    elif kind in ("gz", "xz"):
        return gzip.compress(CONTENT) if kind == "gz" else lzma.compress(CONTENT)
    else:
        with tarfile.open(fileobj=buffer, mode="w:" + kind.partition(".")[2]) as bundle:
            info = tarfile.TarInfo(name)
            info.size = len(CONTENT)
            bundle.addfile(info, io.BytesIO(CONTENT))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.xz", "zip", "gz", "xz"])
def test_archives_are_fetched_and_unpacked(server, tmp_path: Path, kind: str) -> None:
    packed = archive(kind)
    server.files[f"data.{kind}"] = packed
    md5 = hashlib.md5(packed).hexdigest()
    url = f"{server.url}/data.{kind}"
    for _ in range(2):
        utils.download_and_extract_archive(url, tmp_path, tmp_path / "out", md5=md5)
        found = tmp_path / "out" / ("data" if kind in ("gz", "xz") else "folder/file.txt")
        assert found.read_bytes() == CONTENT
        found.unlink()
    assert len(server.requests) == 1  # an existing archive is not downloaded again
    utils.extract_archive(tmp_path / f"data.{kind}", tmp_path / "out", remove_finished=True)
    assert found.exists() and not (tmp_path / f"data.{kind}").exists()


def test_download_url_saves_under_the_given_name_and_checks_the_checksum(server, tmp_path: Path) -> None:
    server.files["file.bin"] = CONTENT
    utils.download_url(f"{server.url}/file.bin", tmp_path, "other.bin")
    path = tmp_path / "other.bin"
    assert path.read_bytes() == CONTENT and utils.check_integrity(path)
    assert utils.check_integrity(path, hashlib.md5(CONTENT).hexdigest()) and not utils.check_integrity(path, "0" * 32)
    assert not utils.check_integrity(tmp_path / "nothing")
    with pytest.raises(RuntimeError, match=f"expected MD5 {'0' * 32}"):
        utils.download_url(f"{server.url}/file.bin", tmp_path, md5="0" * 32)
    assert [each.name for each in tmp_path.iterdir()] == ["other.bin"]


@pytest.mark.parametrize("kind", ["tar", "tar.gz"])
def test_extract_archive_rejects_paths_outside_the_folder(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"data.{kind}"
    path.write_bytes(archive(kind, "../outside.txt"))
    with pytest.raises(RuntimeError, match=r"is damaged or is not an archive: '../outside.txt' would be extracted"):
        utils.extract_archive(path, tmp_path / "out")
    assert not (tmp_path / "outside.txt").exists()


@pytest.mark.parametrize("name", ["data.tar", "data.zip", "data.gz", "data.xz", "data.txt"])
def test_extract_archive_rejects_files_that_are_not_archives(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"no archive")
    with pytest.raises(RuntimeError, match=rf"{name} is damaged or is not an archive"):
        utils.extract_archive(path)


def test_vision_has_the_version_of_flambeau() -> None:
    assert vision.__version__ == flambeau.__version__
