"""GitHub repositories, downloaded as archives and cached."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from ._files import download_url_to_file
from ._folder import get_dir

SITE, API = "https://github.com", "https://api.github.com"
_TRUSTED_OWNERS = ("facebookresearch", "facebookincubator", "pytorch", "fairinternal")
_TRUST = (
    "The repository {name} does not belong to the list of trusted repositories and as such cannot be downloaded. Do "
    "you trust this repository and wish to add it to the trusted list of repositories (y/N)?"
)
_COMMIT_NOT_FOUND = (
    "Cannot find {ref} in https://github.com/{owner}/{name}. If it's a commit from a forked repo, please call "
    "hub.load() with forked repo directly."
)
_AMBIGUOUS = 300  # status code if a tag and a branch have the same name


class _Reference(NamedTuple):
    """Revision of a repository: a branch, a tag or a commit."""

    owner: str
    name: str
    ref: str

    @property
    def folder(self) -> str:
        return f"{self.owner}_{self.name}_{self.ref.replace('/', '_')}"


def repository(github: str, force_reload: bool, trust_repo: bool | str, verbose: bool, skip_validation: bool) -> str:
    """Return the local folder of a repository, downloading it if needed. For the arguments, see `hub.load`."""
    hub = Path(get_dir())
    hub.mkdir(parents=True, exist_ok=True)
    wanted = _parsed(github, hub)
    _ask_for_trust(wanted, trust_repo, hub)
    target = hub / wanted.folder
    if target.exists() and not force_reload:
        if verbose:
            print(f"Using cache found in {target}", file=sys.stderr)
        return str(target)
    if not skip_validation and not _is_branch_or_tag(wanted):
        raise ValueError(_COMMIT_NOT_FOUND.format(**wanted._asdict()))
    _fetch(wanted, target)
    return str(target)


def _parsed(github: str, hub: Path) -> _Reference:
    repository_path, _, ref = github.partition(":")
    owner, slash, name = repository_path.partition("/")
    if not (owner and slash and name) or "/" in name:
        raise ValueError(f'a repository is named "owner/name" or "owner/name:ref", not {github!r}')
    return _Reference(owner, name, ref or _default_branch(owner, name, hub))


def _default_branch(owner: str, name: str, hub: Path) -> str:
    try:
        with urlopen(f"{SITE}/{owner}/{name}/tree/main/"):
            return "main"
    except HTTPError as error:
        error.close()
        if error.code != 404:
            raise
        return "master"
    except URLError as error:
        for branch in ("main", "master"):
            if (hub / _Reference(owner, name, branch).folder).exists():
                return branch
        raise RuntimeError(f"cannot connect to {SITE}, and {hub} has no downloaded copy of {owner}/{name}") from error


def _ask_for_trust(wanted: _Reference, trust: bool | str, hub: Path) -> None:
    """Ask the user about a repository, depending on ``trust``, and raise RuntimeError if the answer is no.

    A file in the folder ``hub`` lists the trusted repositories.
    """
    noted, name = hub / "trusted_list", f"{wanted.owner}_{wanted.name}"
    names = noted.read_text().split() if noted.exists() else []
    trusted = name in names or wanted.owner in _TRUSTED_OWNERS or (hub / wanted.folder).is_dir()
    if trust is False or (trust == "check" and not trusted):
        answer = input(_TRUST.format(name=name)).strip().lower()
        if answer not in ("y", "yes"):
            raise RuntimeError("Untrusted repository.")
    if not trusted:
        noted.write_text("".join(f"{each}\n" for each in (*names, name)))


def _is_branch_or_tag(wanted: _Reference) -> bool:
    """Return True if the reference is a branch, a tag, or the last commit of a branch or tag."""
    return any(
        each["name"] == wanted.ref or each["commit"]["sha"].startswith(wanted.ref)
        for kind in ("branches", "tags")
        for each in _fetch_pages(f"{API}/repos/{wanted.owner}/{wanted.name}/{kind}")
    )


def _fetch_pages(address: str) -> Iterator[Any]:
    headers = {"Accept": "application/vnd.github.v3+json"}
    if token := os.environ.get("GITHUB_TOKEN"):
        headers["Authorization"] = f"token {token}"
    page = 1
    while True:
        with urlopen(Request(f"{address}?per_page=100&page={page}", headers=headers)) as response:
            entries = json.load(response)
        if not entries:
            return
        yield from entries
        page += 1


def _fetch(wanted: _Reference, target: Path) -> None:
    """Download a branch, tag or commit from GitHub and unpack it to ``target``, which is replaced."""
    with tempfile.TemporaryDirectory(dir=target.parent) as aside:
        archive, unpacked = Path(aside, "archive.zip"), Path(aside, "unpacked")
        address = f"{SITE}/{wanted.owner}/{wanted.name}/zipball"
        print(f'Downloading: "{address}/{wanted.ref}" to {target}')
        try:
            download_url_to_file(f"{address}/{wanted.ref}", archive, progress=False)
        except HTTPError as error:
            error.close()
            if error.code != _AMBIGUOUS:
                raise
            download_url_to_file(f"{address}/refs/heads/{wanted.ref}", archive, progress=False)
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(unpacked)
        tops = list(unpacked.glob("*"))
        if len(tops) != 1:
            raise ValueError(f"the archive of {wanted.owner}/{wanted.name} should hold one folder, not {len(tops)}")
        shutil.rmtree(target, ignore_errors=True)
        tops[0].rename(target)
