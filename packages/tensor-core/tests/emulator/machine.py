"""Access to the emulated GPU for its own tests: the functions of the library, and the setup that most tests need."""

import ctypes
import shutil
import sys
from pathlib import Path

import build
import numpy as np
import pytest

INCLUDE = Path(__file__).parents[2] / "include"
KERNEL_SOURCES = INCLUDE.with_name("src")
needs_emulator = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not shutil.which("g++"),
    reason="the emulator needs Linux and g++",
)


class Arguments(ctypes.Structure):
    _fields_ = [
        ("x", ctypes.c_uint64),
        ("y", ctypes.c_uint64),
        ("out", ctypes.c_uint64),
        ("counts", ctypes.c_uint64),
        ("n", ctypes.c_int),
    ]


class Launch(ctypes.Structure):
    _fields_ = [
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("shared_bytes", ctypes.c_uint),
        ("stream", ctypes.c_void_p),
        ("attributes", ctypes.c_void_p),
        ("attribute_count", ctypes.c_uint),
    ]


class Machine:
    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        self.library.emulated_message.restype = ctypes.c_char_p

    def __getattr__(self, name):
        return getattr(self.library, name)

    def start(self):
        self.emulated_restart()
        assert self.cuInit(0) == 0
        context = ctypes.c_void_p()
        assert self.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
        assert self.cuCtxSetCurrent(context) == 0
        return context

    def by_nvidia(self):
        """Compile with NVIDIA's NVRTC, which needs no GPU, or skip the test if it is not installed."""
        found = [path for folder in sys.path for path in Path(folder).glob("nvidia/*/lib/libnvrtc.so.*")]
        if not found:
            pytest.skip("NVRTC is not installed (pip install nvidia-cuda-nvrtc)")
        self.library = ctypes.CDLL(str(found[0]))

    def compile(self, source, *options, architecture=90):
        program, bytes = ctypes.c_void_p(), ctypes.c_size_t()
        assert self.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"test.cu", 0, None, None) == 0
        folders = (f"-I{INCLUDE}", f"-I{KERNEL_SOURCES}")
        options = [*folders, f"--gpu-architecture=sm_{architecture}", "-std=c++20", "-default-device", *options]
        texts = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        result = self.nvrtcCompileProgram(program, len(options), texts)
        self.nvrtcGetProgramLogSize(program, ctypes.byref(bytes))
        log = ctypes.create_string_buffer(bytes.value)
        self.nvrtcGetProgramLog(program, log)
        self.nvrtcGetCUBINSize(program, ctypes.byref(bytes))
        image = ctypes.create_string_buffer(bytes.value)
        self.nvrtcGetCUBIN(program, image)
        assert self.nvrtcDestroyProgram(ctypes.byref(program)) == 0
        return result, log.value.decode(), image.raw

    def load(self, image):
        module = ctypes.c_void_p()
        assert self.cuModuleLoadData(ctypes.byref(module), image) == 0
        return module

    def allocate(self, bytes):
        address = ctypes.c_uint64()
        assert self.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(bytes)) == 0
        return address.value

    def to_device(self, array, stream=None):
        address = self.allocate(array.nbytes)
        bytes = ctypes.c_size_t(array.nbytes)
        assert (
            self.cuMemcpyHtoDAsync_v2(ctypes.c_uint64(address), array.ctypes.data_as(ctypes.c_void_p), bytes, stream)
            == 0
        )
        return address

    def to_host(self, address, shape, dtype=np.float32):
        array = np.empty(shape, dtype)
        bytes = ctypes.c_size_t(array.nbytes)
        assert (
            self.cuMemcpyDtoHAsync_v2(array.ctypes.data_as(ctypes.c_void_p), ctypes.c_uint64(address), bytes, None) == 0
        )
        assert self.cuCtxSynchronize() == 0
        return array

    def launch(self, module, name, grid, block, stream=None, **values):
        function = ctypes.c_void_p()
        assert self.cuModuleGetFunction(ctypes.byref(function), module, name.encode()) == 0
        arguments = Arguments(**values)
        parameters = (ctypes.c_void_p * 1)(ctypes.addressof(arguments))
        launch = Launch(grid=(grid, 1, 1), block=(block, 1, 1), stream=stream)
        return self.cuLaunchKernelEx(ctypes.byref(launch), function, parameters, None)

    def stream(self, flags=1):
        stream = ctypes.c_void_p()
        assert self.cuStreamCreateWithPriority(ctypes.byref(stream), flags, 0) == 0
        return stream

    def event(self, flags=0):
        event = ctypes.c_void_p()
        assert self.cuEventCreate(ctypes.byref(event), flags) == 0
        return event


@pytest.fixture(scope="session")
def library():
    return build.build()


@pytest.fixture
def machine(library):
    machine = Machine(library)
    machine.start()
    yield machine
    Machine(library).emulated_restart()
