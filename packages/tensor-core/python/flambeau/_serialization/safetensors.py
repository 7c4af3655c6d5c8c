"""The safetensors format: named tensors in a file that can run no code.

A file is the length of the header (8 bytes, little-endian), the header (JSON, padded with spaces), and the elements of
the tensors one after the other without gaps. The header maps each name to its dtype, shape and range of bytes, and
``__metadata__`` to a dictionary of strings.

Source: https://github.com/huggingface/safetensors, section Format.
"""

from __future__ import annotations

import io
import json
import math
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import flambeau

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flambeau import Tensor

MAX_HEADER_BYTES = 100_000_000
METADATA = "__metadata__"


class Stored(NamedTuple):
    """A dtype's name here and its size in bytes."""

    name: str
    itemsize: int


DTYPES = {
    "BOOL": Stored("bool", 1),
    "U8": Stored("uint8", 1),
    "I8": Stored("int8", 1),
    "U16": Stored("uint16", 2),
    "I16": Stored("int16", 2),
    "U32": Stored("uint32", 4),
    "I32": Stored("int32", 4),
    "U64": Stored("uint64", 8),
    "I64": Stored("int64", 8),
    "F16": Stored("float16", 2),
    "BF16": Stored("bfloat16", 2),
    "F32": Stored("float32", 4),
    "F64": Stored("float64", 8),
    "C64": Stored("complex64", 8),
}
CODES = {stored.name: code for code, stored in DTYPES.items()}

# How files of other kinds begin that people are likely to pass: a .pt file since PyTorch 1.6, and one from before.
PYTORCH_MAGICS = (b"PK\x03\x04", b"\x80\x02\x8a\x0a")


class FormatError(RuntimeError):
    """The bytes are not what the format says; the message says where, the caller adds the file's name."""


class ForeignFormatError(FormatError, NotImplementedError):
    """The bytes are in a format that is known but cannot be read."""


class Entry(NamedTuple):
    """One tensor as the header describes it; ``begin`` and ``end`` count from the end of the header."""

    name: str
    dtype: Stored
    shape: list[int]
    begin: int
    end: int


# --- writing ---


def code_of(tensor: Tensor) -> str | None:
    """Name of the tensor's dtype in the format, None if the format has none."""
    return CODES.get(str(tensor.dtype).rpartition(".")[2])


def write(file: IO[bytes], tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write the tensors, in the order given; the widest elements come first in the file, so that all are aligned."""
    order = sorted(tensors, key=lambda name: -tensors[name].element_size())
    ranges: dict[str, tuple[int, int]] = {}
    end = 0
    for name in order:
        begin, end = end, end + tensors[name].numel() * tensors[name].element_size()
        ranges[name] = begin, end
    header: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    for name, tensor in tensors.items():
        header[name] = {"dtype": code_of(tensor), "shape": list(tensor.shape), "data_offsets": ranges[name]}
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    if len(encoded) > MAX_HEADER_BYTES:
        raise ValueError(
            f"the names and structure take {len(encoded):,} bytes, more than the {MAX_HEADER_BYTES:,} allowed"
        )

    _write_all(file, len(encoded).to_bytes(8, "little") + encoded)
    for name in order:
        if tensors[name].numel():
            _write_all(file, _bytes_of(tensors[name].detach().cpu().contiguous()))


def _bytes_of(tensor: Tensor) -> memoryview:
    """The memory of a contiguous, non-empty tensor on the CPU: writing to one writes to the other."""
    flat = tensor.reshape(-1)
    if flat.dtype == flambeau.bfloat16:
        flat = flat.view(flambeau.int16)  # NumPy has no bfloat16
    if flat.is_complex():
        flat = flambeau.view_as_real(flat).reshape(-1)  # memoryview.cast knows no complex numbers
    return memoryview(flat.numpy()).cast("B")


def _write_all(file: IO[bytes], data: bytes | memoryview) -> None:
    """Write everything even where ``file`` is unbuffered and takes a part at a time."""
    left = memoryview(data)
    while left:
        written = file.write(left)
        left = left[len(left) if written is None else written :]


# --- reading ---


def read(file: IO[bytes]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors, in the order of the header, and metadata of the file from its current position to its end."""
    if not (hasattr(file, "readinto") and file.seekable()):
        file = io.BytesIO(file.read())
    start = file.tell()
    size = file.seek(0, io.SEEK_END) - start
    file.seek(start)
    header, data_size = _read_header(file, size)
    metadata = _read_metadata(header.pop(METADATA, {}))
    entries = [_read_entry(name, fields) for name, fields in header.items()]
    in_file = sorted(entries, key=lambda entry: (entry.begin, entry.end))
    _check_ranges(in_file, data_size)
    tensors = {entry.name: _read_tensor(file, entry) for entry in in_file}
    return {entry.name: tensors[entry.name] for entry in entries}, metadata


def _read_header(file: IO[bytes], size: int) -> tuple[dict[str, Any], int]:
    """The header, and how many bytes the file has after it."""
    prefix = bytearray(min(9, size))
    _fill(file, memoryview(prefix))
    if prefix.startswith(PYTORCH_MAGICS):
        raise ForeignFormatError("this is a PyTorch .pt file, and only safetensors files can be loaded")
    if size < 8:
        raise FormatError(f"not a safetensors file: it has {size} bytes, and the shortest one has 10")
    length, opening = int.from_bytes(prefix[:8], "little"), bytes(prefix[8:])
    if length > MAX_HEADER_BYTES:
        raise FormatError(
            f"not a safetensors file: its first 8 bytes announce a header of {length:,} bytes, "
            f"and at most {MAX_HEADER_BYTES:,} are allowed"
        )
    if length == 0 or opening not in (b"{", b""):
        raise FormatError("not a safetensors file: there is no header that begins with '{' at byte 8")
    if length > size - 8:
        raise FormatError(f"truncated: the header takes {length:,} bytes but only {size - 8:,} follow its length")
    encoded = bytearray(opening) + bytearray(length - 1)
    _fill(file, memoryview(encoded)[1:])
    try:
        return json.loads(encoded.decode(), object_pairs_hook=_without_duplicates), size - 8 - length
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the header is not valid JSON: {error}") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"duplicate name {next(name for name in names if names.count(name) > 1)!r}")
    return result


def _read_metadata(metadata: Any) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise FormatError(f"{METADATA} in the header is not a dictionary of strings")
    return metadata


def _read_entry(name: str, fields: Any) -> Entry:
    try:
        code, shape, (begin, end) = fields["dtype"], fields["shape"], fields["data_offsets"]
        wellformed = all(type(number) is int and 0 <= number < 2**63 for number in (*shape, begin, end))
    except (KeyError, TypeError, ValueError):
        wellformed = False
    if not wellformed:
        raise FormatError(f"tensor {name!r}: the header must give a dtype, a shape and two data_offsets")
    if not isinstance(code, str) or code not in DTYPES:
        raise FormatError(f"tensor {name!r}: unknown dtype {code!r}; known are {', '.join(DTYPES)}")
    entry = Entry(name, DTYPES[code], shape, begin, end)
    needed = math.prod(shape) * entry.dtype.itemsize
    if end - begin != needed:
        raise FormatError(
            f"tensor {name!r}: shape {shape} of {code} takes {needed:,} bytes, "
            f"but its data_offsets [{begin}, {end}] span {end - begin:,}"
        )
    return entry


def _check_ranges(in_file: list[Entry], data_size: int) -> None:
    position = 0
    for entry in in_file:
        if entry.begin != position:
            how = "overlap those before them" if entry.begin < position else "leave a gap"
            raise FormatError(
                f"tensor {entry.name!r}: its data_offsets [{entry.begin}, {entry.end}] {how} (expected {position})"
            )
        position = entry.end
    if position != data_size:
        what = "truncated" if position > data_size else "bytes left over"
        raise FormatError(f"{what}: the header says {position:,} bytes of tensors but the file has {data_size:,}")


def _read_tensor(file: IO[bytes], entry: Entry) -> Tensor:
    # Bytes other than 0 and 1 mean True; as elements of a bool tensor they would be undefined.
    is_bool = entry.dtype.name == "bool"
    tensor = flambeau.empty(entry.shape, dtype=getattr(flambeau, "uint8" if is_bool else entry.dtype.name))
    if tensor.numel():
        _fill(file, _bytes_of(tensor))
    return tensor != 0 if is_bool else tensor


def _fill(file: IO[bytes], view: memoryview) -> None:
    while view:
        got = file.readinto(view)  # type: ignore[attr-defined]
        if not got:
            raise FormatError(f"truncated: the file ended {len(view):,} bytes early while it was read")
        view = view[got:]
