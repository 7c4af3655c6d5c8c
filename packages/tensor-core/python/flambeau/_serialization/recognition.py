"""Recognition of files without tensors, such as an HTML page that a server sent instead of a file."""

from __future__ import annotations

OPENING_BYTES = 256

_DOWNLOAD_AGAIN = "the server sent it in place of the file; download the file again"

# Beginnings of files, a description of the file, and advice. Text is compared in lower case, without leading white
# space.
_TEXTS = (
    (("<!doctype html", "<html"), "an HTML page", _DOWNLOAD_AGAIN),
    (("<?xml", "<error"), "an XML document", _DOWNLOAD_AGAIN),
    (("version https://git-lfs",), "a Git LFS pointer", "fetch the file that it points to with `git lfs pull`"),
    (("{", "["), "JSON", "if a server sent it in place of the file, it says why; read other JSON with json.load"),
)
_BINARY = (
    ((b"PK\3\4",), "a zip archive", "flambeau.load reads PyTorch's"),
    ((b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5"), "a pickle", "read it with pickle.load if you trust its source"),
    ((b"\x93NUMPY",), "a NumPy array", "read it with numpy.load"),
    ((b"\x89HDF\r\n",), "an HDF5 file, as Keras writes them", "read it with h5py"),
    ((b"GGUF",), "a GGUF file", "read it with the package gguf"),
    ((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd"), "a compressed file", "decompress it first"),
    ((b"\x89PNG", b"\xff\xd8\xff"), "an image", "read it with flambeau.vision.io.decode_image"),
)


def described(opening: bytes) -> str | None:
    """Return a description of a file with this beginning, and advice, or None if the file type is unknown.

    >>> described(b"<!DOCTYPE html><html>")
    'an HTML page: the server sent it in place of the file; download the file again'
    """
    if not opening:
        return "an empty file: a download or a save was interrupted"
    text = opening.removeprefix(b"\xef\xbb\xbf").decode("latin-1").lstrip().lower()
    for beginnings, kind, advice in _TEXTS:
        if text.startswith(beginnings) and b"\0" not in opening:
            return f"{kind}: {advice}"
    for prefixes, kind, advice in _BINARY:
        if opening.startswith(prefixes):
            return f"{kind}: {advice}"
    return None
