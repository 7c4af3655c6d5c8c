"""The safetensors format: named tensors in a file that cannot run code.

A file consists of the length of the header (8 bytes, little-endian), the header (JSON, padded with spaces), and the
elements of the tensors without gaps. The header maps each name to its dtype, shape and byte range, and ``__metadata__``
to a dictionary of strings.

`write` adds checksums. Note [Checksums in safetensors]

Source: https://github.com/huggingface/safetensors, section Format.
"""

from __future__ import annotations

import io
import json
import math
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import flambeau

from .._core import _crc32 as crc32
from .archive_reader import fill, fill_and_sum, map_file
from .archive_writer import write_all
from .errors import FormatError, damaged
from .options import get_crc32_options
from .recognition import OPENING_BYTES, described

if TYPE_CHECKING:
    import mmap
    from collections.abc import Mapping

    from flambeau import Tensor

MAX_HEADER_BYTES = 100_000_000
METADATA = "__metadata__"


class Stored(NamedTuple):
    """Name of a dtype in flambeau, and the size of its elements in bytes."""

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
    "F8_E4M3": Stored("float8_e4m3fn", 1),
    "F8_E5M2": Stored("float8_e5m2", 1),
    "F8_E8M0": Stored("float8_e8m0fnu", 1),
    "F32": Stored("float32", 4),
    "F64": Stored("float64", 8),
    "C64": Stored("complex64", 8),
}
CODES = {stored.name: code for code, stored in DTYPES.items()}


# Note [Checksums in safetensors]
# The format has no checksums. flambeau stores checksums in the metadata: the CRC-32 of the header without this entry,
# as 8 hexadecimal digits, then 8 digits for each tensor in the order of the header. Programs that change tensors often
# copy the metadata to the new file, where the old checksums would be wrong. Other writers put the metadata first in the
# header. flambeau puts it last, and only uses checksums at that position.
CHECKSUMS = "flambeau.crc32"
_DIGITS = 8


class Entry(NamedTuple):
    """Header entry of a tensor. ``begin`` and ``end`` are relative to the end of the header."""

    name: str
    dtype: Stored
    shape: list[int]
    begin: int
    end: int


# --- writing ---


def code_of(tensor: Tensor) -> str | None:
    """Return the format's code for the tensor's dtype, or None if the format does not have the dtype."""
    return CODES.get(str(tensor.dtype).rpartition(".")[2])


def write(file: IO[bytes], tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors. The header keeps their order. The data is sorted by element size, widest first, for alignment."""
    order = sorted(tensors, key=lambda name: -tensors[name].element_size())
    ranges: dict[str, tuple[int, int]] = {}
    end = 0
    for name in order:
        begin, end = end, end + tensors[name].numel() * tensors[name].element_size()
        ranges[name] = begin, end
    header: dict[str, Any] = {
        name: {"dtype": code_of(tensor), "shape": list(tensor.shape), "data_offsets": ranges[name]}
        for name, tensor in tensors.items()
    }
    checksums = {CHECKSUMS: _checksums_of(header, tensors, metadata)} if get_crc32_options() else {}
    encoded = _encoded(header, {**metadata, **checksums})
    encoded += b" " * (-len(encoded) % 8)
    if len(encoded) > MAX_HEADER_BYTES:
        raise ValueError(
            f"the names and structure take {len(encoded):,} bytes, more than the {MAX_HEADER_BYTES:,} allowed"
        )

    write_all(file, len(encoded).to_bytes(8, "little") + encoded)
    for name in order:
        if tensors[name].numel():
            write_all(file, _bytes_of(tensors[name].detach().cpu().contiguous()))


def _encoded(tensors: Mapping[str, Any], metadata: Mapping[str, str]) -> bytes:
    return json.dumps({**tensors, **({METADATA: dict(metadata)} if metadata else {})}, separators=(",", ":")).encode()


def _checksums_of(header: Mapping[str, Any], tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    contents = (_bytes_of(each.detach().cpu().contiguous()) if each.numel() else b"" for each in tensors.values())
    return "".join(f"{crc32(part):0{_DIGITS}x}" for part in (_encoded(header, metadata), *contents))


def _bytes_of(tensor: Tensor) -> memoryview:
    """Return the memory of a contiguous, non-empty CPU tensor, without a copy."""
    return tensor.reshape(-1).view(flambeau.uint8).numpy().data


# --- reading ---


class Contents:
    """Contents of a file from its current position to its end. ``entries`` maps names to header entries.

    Args:
        mapped: if True, map the elements instead of reading them.
        checked: if True, verify existing checksums. Checksums of mapped elements are not verified.
    """

    def __init__(self, file: IO[bytes], mapped: bool = False, checked: bool = True) -> None:
        start = file.tell()
        size = file.seek(0, io.SEEK_END) - start
        file.seek(start)
        header, data_size = _read_header(file, size)
        metadata_is_last = next(reversed(header), None) == METADATA
        self.metadata = _read_metadata(header.pop(METADATA, {}))
        checksums = self.metadata.pop(CHECKSUMS, "") if metadata_is_last else ""
        self._checksums = _read_checksums(checksums, header, self.metadata) if checked and checksums else {}
        self.entries = {name: _read_entry(name, fields) for name, fields in header.items()}
        _check_ranges(self.in_file(), data_size)
        self._file = file
        self._start = start + size - data_size
        self._map = map_file(file) if mapped else None

    def in_file(self) -> list[Entry]:
        """Return the entries in the order of their elements in the file."""
        return sorted(self.entries.values(), key=lambda entry: (entry.begin, entry.end))

    def tensor(self, name: str) -> Tensor:
        """Return the tensor ``name``."""
        entry = self.entries[name]
        start = self._start + entry.begin
        if self._map is not None and entry.begin < entry.end:
            return _mapped_tensor(self._map, start, entry)
        if entry.begin == entry.end:
            return flambeau.empty(entry.shape, dtype=getattr(flambeau, entry.dtype.name), device="cpu")
        self._file.seek(start)
        return _read_tensor(self._file, entry, self._checksums.get(name))


def read(file: IO[bytes], mapped: bool = False, checked: bool = True) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a file, from its current position to its end."""
    contents = Contents(file, mapped, checked)
    tensors = {entry.name: contents.tensor(entry.name) for entry in contents.in_file()}
    return {name: tensors[name] for name in contents.entries}, contents.metadata


def _read_header(file: IO[bytes], size: int) -> tuple[dict[str, Any], int]:
    """Return the header and the number of bytes after it."""
    begin = file.tell()
    prefix = bytearray(min(9, size))
    fill(file, memoryview(prefix))
    length, opening = int.from_bytes(prefix[:8], "little"), bytes(prefix[8:])
    if size < 8 or not 0 < length <= MAX_HEADER_BYTES or opening not in (b"{", b""):
        file.seek(begin)
        raise FormatError(f"neither a PyTorch nor a safetensors file, {_mismatch(file.read(OPENING_BYTES))}")
    if length > size - 8:
        raise FormatError(f"truncated: the header takes {length:,} bytes but only {size - 8:,} follow its length")
    encoded = bytearray(opening) + bytearray(length - 1)
    fill(file, memoryview(encoded)[1:])
    try:
        return json.loads(encoded.decode(), object_pairs_hook=_without_duplicates), size - 8 - length
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the header is not valid JSON: {error}") from None


def _mismatch(opening: bytes) -> str:
    """Return the end of an error message: the type of the file, or the reason why it is not a safetensors file."""
    if (kind := described(opening)) is not None:
        return f"but {kind}"
    if len(opening) < 8:
        return f"as it has {len(opening)} bytes: the shortest one has 10"
    length = int.from_bytes(opening[:8], "little")
    if length > MAX_HEADER_BYTES:
        return f"as its first 8 bytes {opening[:8]!r} are not the length of a header (at most {MAX_HEADER_BYTES:,})"
    return "as there is no header that begins with '{' at byte 8"


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


def _read_checksums(digits: str, header: Mapping[str, Any], metadata: Mapping[str, str]) -> dict[str, int]:
    """Return the tensors' checksums by name. Raise FormatError if the header does not match its checksum."""
    try:
        expected, *checksums = (int(digits[start : start + _DIGITS], 16) for start in range(0, len(digits), _DIGITS))
    except ValueError:
        raise FormatError(f"damaged: the checksums in the header are not hexadecimal digits: {digits[:40]!r}") from None
    if (found := crc32(_encoded(header, metadata))) != expected:
        raise damaged("its header", expected, found)
    return dict(zip(header, checksums, strict=False))


def _read_entry(name: str, fields: Any) -> Entry:
    """Return the entry of a tensor in the header. Raise FormatError if it is not valid."""
    try:
        code, shape, (begin, end) = fields["dtype"], fields["shape"], fields["data_offsets"]
        wellformed = all(type(number) is int and 0 <= number < 2**63 for number in (*shape, begin, end))
    except (KeyError, TypeError, ValueError):
        wellformed = False
    if not wellformed:
        raise FormatError(f"tensor {name!r}: the header must give a dtype, a shape and two data_offsets")
    if not isinstance(code, str) or code not in DTYPES:
        raise FormatError(f"tensor {name!r}: unknown dtype {code!r}; expected one of {', '.join(DTYPES)}")
    entry = Entry(name, DTYPES[code], shape, begin, end)
    needed = math.prod(shape) * entry.dtype.itemsize
    if end - begin != needed:
        raise FormatError(
            f"tensor {name!r}: shape {list(shape)} of {code} takes {needed:,} bytes, "
            f"but its data_offsets [{begin}, {end}] span {end - begin:,}"
        )
    return entry


def _check_ranges(in_file: list[Entry], data_size: int) -> None:
    position = 0
    for entry in in_file:
        if entry.begin != position:
            how = "overlap those before them" if entry.begin < position else "leave a gap"
            raise FormatError(
                f"tensor {entry.name!r}: its data_offsets [{entry.begin}, {entry.end}] {how} (expected start: "
                f"{position})"
            )
        position = entry.end
    if position != data_size:
        what = "truncated" if position > data_size else "trailing bytes"
        raise FormatError(f"{what}: the header says {position:,} bytes of tensors but the file has {data_size:,}")


def _read_tensor(file: IO[bytes], entry: Entry, checksum: int | None) -> Tensor:
    # Nonzero bytes mean True, but values other than 0 and 1 are undefined in a bool tensor.
    is_bool = entry.dtype.name == "bool"
    dtype = flambeau.uint8 if is_bool else getattr(flambeau, entry.dtype.name)
    tensor = flambeau.empty(entry.shape, dtype=dtype, device="cpu")
    if checksum is None:
        fill(file, _bytes_of(tensor))
    elif (found := fill_and_sum(file, _bytes_of(tensor))) != checksum:
        raise damaged(f"tensor {entry.name!r}", checksum, found)
    return tensor != 0 if is_bool else tensor


def _mapped_tensor(mapping: mmap.mmap, start: int, entry: Entry) -> Tensor:
    numbers = flambeau._core._frombuffer(mapping, dtype=flambeau.uint8, count=entry.end - entry.begin, offset=start)
    if entry.dtype.name == "bool":  # see _read_tensor
        return (numbers != 0).reshape(entry.shape)
    aligned = numbers if start % entry.dtype.itemsize == 0 else numbers.clone()
    return aligned.view(getattr(flambeau, entry.dtype.name)).reshape(entry.shape)
