"""Files in the safetensors format: written by flambeau, and handmade."""

import io
import json
import math

import flambeau

VALUES = {
    "bool": [True, False, True],
    "uint8": [0, 255, 7],
    "int8": [-128, 127, 0],
    "int16": [-(2**15), 2**15 - 1, 0],
    "int32": [-(2**31), 2**31 - 1, 0],
    "int64": [-(2**63), 2**63 - 1, 0],
    "uint16": [0, 2**16 - 1, 7],
    "uint32": [0, 2**32 - 1, 7],
    "uint64": [0, 2**64 - 1, 7],
    "float16": [0.5, -math.inf, 65504.0],
    "bfloat16": [1.5, math.inf, -(2.0**100)],
    "float32": [0.1, -math.inf, 1e-45],
    "float64": [0.1, math.inf, 5e-324],
}


def tensor_of(name):
    return flambeau.tensor(VALUES[name], dtype=getattr(flambeau, name))


def saved(obj):
    """Return the bytes of the saved file."""
    buffer = io.BytesIO()
    flambeau.save(obj, buffer, format="safetensors")
    return buffer.getvalue()


def header_of(data):
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def file_of(header, data=b""):
    """Return a file with this header and data."""
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + data


def assert_same(loaded, original):
    """Assert that structure, types, dtypes, shapes and bits are equal. A loaded dict may replace a subclass of dict."""
    if isinstance(original, flambeau.Tensor):
        assert type(loaded) is flambeau.Tensor
        assert loaded.dtype == original.dtype
        assert tuple(loaded.shape) == tuple(original.shape)
        assert str(loaded.tolist()) == str(original.tolist())
        assert loaded.is_contiguous()
        assert not loaded.requires_grad
    elif isinstance(original, dict):
        assert type(loaded) is dict
        assert_same(list(loaded.items()), list(original.items()))
    elif isinstance(original, list | tuple):
        assert type(loaded) is type(original)
        assert len(loaded) == len(original)
        for got, expected in zip(loaded, original, strict=True):
            assert_same(got, expected)
    else:
        assert type(loaded) is type(original)
        assert repr(loaded) == repr(original)
