"""Download of a published file from several mirrors."""

from __future__ import annotations

from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError

from flambeau.hub._transfer import fetch

from .utils import calculate_md5

_FAILED = "could not download {name}:\n{failures}\nThe partial download is kept, and the next attempt resumes it."


def download(urls: Sequence[str], path: Path, md5: str | None, timeout: float = 30.0) -> None:
    """Download a file to ``path``, from the first of ``urls`` from which a complete download is possible.

    The download is written to ``path`` + ``.part``, and resumed after an interruption. The file is renamed to ``path``
    when it is complete and its checksum is correct.

    Args:
        urls: addresses of the same file on several mirrors.
        md5: MD5 checksum of the file in hexadecimal; None for no check.
        timeout: seconds without data after which a mirror is skipped.
    Raises: RuntimeError with the error of each mirror, if all fail; OSError naming a file that cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    failures = []
    for url in urls:
        try:
            _fetch_checked(url, part, md5, timeout)
        except (OSError, HTTPException) as error:
            if getattr(error, "filename", None) == str(part):  # a disk error: another mirror does not help
                raise
            failures.append(f"  {url}: {error or type(error).__name__}")
            if isinstance(error, HTTPError):
                error.close()
        else:
            part.replace(path)
            return
    raise RuntimeError(_FAILED.format(name=path.name, failures="\n".join(failures)))


def _fetch_checked(url: str, part: Path, md5: str | None, timeout: float) -> None:
    resumed = part.exists()
    fetch(url, part, timeout=timeout, title=part.stem)
    actual = calculate_md5(part)
    if md5 in (actual, None):
        return
    part.unlink()
    if not resumed:
        raise OSError(f"the file is corrupt (expected MD5 {md5}, found {actual}) and was removed")
    _fetch_checked(url, part, md5, timeout)  # the partial file may be damaged: restart
