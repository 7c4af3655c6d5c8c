"""The idx format of the MNIST files.

A file consists of four bytes (0, 0, code of the dtype, number of dimensions), the size of each dimension (4 bytes,
big-endian) and the elements (big-endian).
"""

from __future__ import annotations

import gzip
import lzma
import math
import struct
import zlib
from pathlib import Path

import numpy as np

_PACKED = {b"\x1f\x8b": ("gzip", gzip.decompress), b"\xfd7zXZ\0": ("xz", lzma.decompress)}
_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path) -> np.ndarray:
    """Read the array in an idx file, which may be uncompressed, gzipped or xz-compressed.

    Raises: ValueError that names the file and the problem, if the file is damaged, truncated or too long, or not an
        idx file.
    """
    content = _read_unpacked(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _DTYPES:
        raise ValueError(f"{path} is not an idx file: it begins with the bytes {content[:4].hex(' ') or '(none)'}")
    dtype, dimensions = np.dtype(_DTYPES[content[2]]), content[3]
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise ValueError(f"{path} is truncated: {len(content)} bytes, fewer than its header of {start}")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        wrong = "is truncated" if len(content) < expected else "is too long"
        raise ValueError(
            f"{path} {wrong}: {len(content)} bytes, where its header of shape {list(shape)} says {expected}"
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def _read_unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    for magic, (name, decompress) in _PACKED.items():
        if content.startswith(magic):
            try:
                return decompress(content)
            except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
                raise ValueError(f"{path} is a damaged or truncated {name} file: {error}") from error
    return content
