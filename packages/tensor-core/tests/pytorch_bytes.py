"""Bytes of files in PyTorch's format: written by PyTorch, written by flambeau, and handmade."""

import base64
import io
import json
import zipfile
import zlib
from pathlib import Path

import flambeau as fb

# Files that PyTorch 2.13.0 wrote, compressed and in base 85.
THEIRS = {
    name: zlib.decompress(base64.b85decode(text))
    for name, text in json.loads(Path(__file__).with_name("pytorch_files.json").read_text()).items()
}


def saved(obj, **kwargs):
    """Return the bytes of the saved file."""
    buffer = io.BytesIO()
    fb.save(obj, buffer, format="pt", **kwargs)
    return buffer.getvalue()


def load(data, **kwargs):
    return fb.load(io.BytesIO(data), **kwargs)


def entries_of(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def archive_of(entries, **kwargs):
    """Return an archive with these entries."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **kwargs) as archive:
        for name, content in entries.items():
            archive.writestr(f"archive/{name}", content)
    return buffer.getvalue()


def file_of(program, **entries):
    """Return a file that contains this pickle."""
    return archive_of({"data.pkl": program, "version": "3\n", **entries})
