"""NVIDIA's run-time compiler, which needs neither a GPU nor a driver: for tests that kernels compile."""

import ctypes
import glob
import os
import site
import sys
from pathlib import Path

import flambeau as fb


def candidates():
    """Where it may lie: in NVIDIA's wheel, then in a CUDA toolkit."""
    for folder in dict.fromkeys([*site.getsitepackages(), *sys.path]):
        yield from sorted(glob.glob(f"{folder}/nvidia/**/libnvrtc.so.*", recursive=True), reverse=True)
    for toolkit in (os.environ.get("CUDA_HOME"), "/usr/local/cuda"):
        if toolkit:
            yield from sorted(glob.glob(f"{toolkit}/lib64/libnvrtc.so.*"), reverse=True)
    yield from ("libnvrtc.so.13", "libnvrtc.so.12")


def find():
    """The library, or None."""
    for path in candidates():
        try:
            return ctypes.CDLL(path)
        except OSError:
            continue
    return None


def include():
    """The folder of the installed headers."""
    return Path(fb._core.__file__).parent / "include"


OPTIONS = [
    "-std=c++20",
    "-default-device",
    "-DFLAMBEAU_ISA=gpu",
    "-D__FMA__",
    f"-I{include()}",
    f"-I{include() / 'flambeau' / 'device' / 'standard'}",
]


def compile(library, source, architecture):
    """What the compiler says about a unit for `sm_80` (to machine code) or `compute_80` (to PTX): nothing, if well."""
    options = [f"--gpu-architecture={architecture}", *OPTIONS]
    program = ctypes.c_void_p()
    library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"unit.cu", 0, None, None)
    try:
        failed = library.nvrtcCompileProgram(
            program, len(options), (ctypes.c_char_p * len(options))(*map(str.encode, options))
        )
        size = ctypes.c_size_t()
        library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        library.nvrtcGetProgramLog(program, log)
        return log.value.decode().strip() or ("failed without a word" if failed else "")
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))
