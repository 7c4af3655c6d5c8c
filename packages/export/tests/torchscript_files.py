"""Creation of archives in the format of PyTorch's ``torch.jit.save``, from source and values."""

import io
import struct
import zipfile

import numpy as np


class Object:
    """Object of a class that the archive's code defines."""

    def __init__(self, kind, **state):
        self.kind, self.state = kind, state


class Parameter:
    """Array that is pickled as a tensor that requires grad."""

    def __init__(self, array):
        self.array = array


class Raw(bytes):
    """Pickle instructions that are written unchanged."""


class Writer:
    """Pickler (protocol 2) that stores the elements of arrays separately, in ``storages``."""

    def __init__(self):
        self.storages = []

    def dumps(self, value):
        return b"\x80\x02" + self.value(value) + b"."

    def value(self, value):
        if isinstance(value, Raw):
            return value
        if isinstance(value, bool) or value is None:
            return {True: b"\x88", False: b"\x89", None: b"N"}[value]
        if isinstance(value, int):
            return b"J" + struct.pack("<i", value)
        if isinstance(value, float):
            return b"G" + struct.pack(">d", value)
        if isinstance(value, str):
            return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
        if isinstance(value, tuple):
            return b"(" + b"".join(map(self.value, value)) + b"t"
        if isinstance(value, list):
            return b"](" + b"".join(map(self.value, value)) + b"e"
        if isinstance(value, dict):
            return b"}(" + b"".join(self.value(k) + self.value(v) for k, v in value.items()) + b"u"
        if isinstance(value, np.ndarray):
            return self.array(value, False)
        if isinstance(value, Parameter):
            return self.array(value.array, True)
        module, _, name = value.kind.rpartition(".")
        return f"c{module}\n{name}\n".encode() + b")\x81" + self.value(value.state) + b"b"

    def array(self, array, requires_grad):
        self.storages.append(array.tobytes())
        kind = {"f4": "FloatStorage", "i8": "LongStorage"}[array.dtype.str[1:]]
        storage = ("storage", Raw(f"ctorch\n{kind}\n".encode()), str(len(self.storages) - 1), "cpu", array.size)
        strides = tuple(stride // array.itemsize for stride in array.strides)
        hooks = Raw(b"ccollections\nOrderedDict\n)R")
        arguments = (Raw(self.value(storage) + b"Q"), 0, array.shape, strides, requires_grad, hooks)
        return b"ctorch._utils\n_rebuild_tensor_v2\n" + self.value(arguments) + b"R"


def script_file(code, data, constants=(), version="10", files=None):
    """Return an archive as a file.

    Args:
        code: the source of the module ``__torch__``, or sources by the names of their files.
        data, constants: values, or the bytes of pickles.
        files: further files by their names; None for one that is left out.
    """
    sources = {"__torch__.py": code} if isinstance(code, str) else code
    written = {f"code/{name}": source.encode() for name, source in sources.items()}
    for name, value in (("data", data), ("constants", constants)):
        writer = Writer()
        written[f"{name}.pkl"] = value if isinstance(value, bytes) else writer.dumps(value)
        written |= {f"{name}/{i}": content for i, content in enumerate(writer.storages)}
    written |= {"version": version.encode(), **(files or {})}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in written.items():
            if content is not None:
                packed = zipfile.ZIP_DEFLATED if name.endswith(".py") else zipfile.ZIP_STORED
                archive.writestr(f"net/{name}", content, packed)
    made.seek(0)
    return made
