"""Tests without a GPU: query functions return empty results, and others raise errors that name what is missing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import flambeau as fb

USES = [
    "cuda.init()",
    "cuda.synchronize()",
    "cuda.current_device()",
    "cuda.set_device(0)",
    "cuda.get_device_name()",
    "cuda.get_device_properties()",
    "cuda.current_stream()",
    "cuda.default_stream()",
    "cuda.Stream()",
    "cuda.stream(1)",
    "cuda.Event().record()",
    "cuda.device(0)",
    "cuda.graph(cuda.CUDAGraph())",
    "cuda.CUDAGraph().capture_begin()",
    "cuda.mem_get_info()",
    "cuda.memory_summary()",
    "cuda.get_rng_state()",
    "cuda.initial_seed()",
    "cuda.set_rng_state_all([fb.get_rng_state()])",
    "cuda.FloatTensor([1])",
    "fb.ones(1).cuda()",
    "fb.ones(1).to('cuda:0')",
    "fb.ones(1).pin_memory()",
    "fb.zeros(1, pin_memory=True)",
    "fb.zeros(1, device='cuda')",
    "fb.set_default_device('cuda')",
    "fb.ones(1).untyped_storage().cuda()",
]
CHECK = """
import sys
import flambeau as fb
from flambeau import cuda
from flambeau import _core
assert not cuda.is_available() and cuda.device_count() == 0 and cuda.memory_stats() == {}
assert not fb.accelerator.is_available() and fb.get_device_module() is fb.cpu and not fb.ones(1).is_pinned()
cuda.manual_seed_all(0), cuda.empty_cache(), cuda.reset_peak_memory_stats()
assert fb.version.cuda is None and cuda.get_arch_list() == []
for use in sys.argv[1:]:
    try:
        eval(use)
    except RuntimeError as error:
        assert _core._cuda_obstacle() in str(error), (use, error)
    else:
        raise AssertionError(f"{use} raises nothing")
print(_core._cuda_obstacle())
"""


def run(code, *arguments, **environment):
    command = [sys.executable, "-c", code, *arguments]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FLAMBEAU_")}
    done = subprocess.run(
        command, env={**inherited, **environment}, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def compile_library(folder, source):
    if not shutil.which("g++"):
        pytest.skip("needs g++")
    path = folder / "libcuda.so"
    subprocess.run(["g++", "-shared", "-fPIC", "-x", "c++", "-", "-o", path], input=source, text=True, check=True)
    return str(path)


def test_a_missing_driver_is_reported():
    sentence = run(CHECK, *USES, FLAMBEAU_CUDA_DRIVER="/nowhere/libcuda.so")
    assert sentence == (
        "no NVIDIA driver was found (looked for /nowhere/libcuda.so (from the environment variable "
        "FLAMBEAU_CUDA_DRIVER)); install the driver of the graphics card"
    )


def test_a_library_that_is_not_a_driver_is_reported(tmp_path):
    sentence = run(CHECK, *USES, FLAMBEAU_CUDA_DRIVER=compile_library(tmp_path, 'extern "C" void nothing() {}'))
    assert sentence == "the NVIDIA driver is too old: it lacks cuInit; install one for CUDA 12.0 or later"


@pytest.fixture(scope="module")
def emulator():
    if not shutil.which("g++"):
        pytest.skip("needs g++")
    sys.path.insert(0, str(Path(__file__).parent / "emulator"))
    try:
        import build
    finally:
        sys.path.pop(0)
    return str(build.build())


def test_a_driver_without_gpus_is_reported(emulator):
    sentence = run(CHECK, *USES, FLAMBEAU_CUDA_DRIVER=emulator, FLAMBEAU_EMULATED_DEVICES="0")
    assert "NVIDIA" in sentence and "nvidia-smi" in sentence


def wrapped(emulator, folder, source):
    """Compile a driver that overrides some functions of the emulated one."""
    source = "#include <dlfcn.h>\n" + source
    if not shutil.which("g++"):
        pytest.skip("needs g++")
    path = folder / "libcuda.so"
    options = ["-shared", "-fPIC", "-x", "c++", "-", "-x", "none", "-Wl,--no-as-needed", emulator]
    subprocess.run(["g++", *options, "-o", path], input=source, text=True, check=True)
    return str(path)


def test_a_driver_that_is_too_old_is_reported(emulator, tmp_path):
    old = wrapped(emulator, tmp_path, 'extern "C" int cuDriverGetVersion(int* v) { *v = 11080; return 0; }')
    sentence = run(CHECK, *USES, FLAMBEAU_CUDA_DRIVER=old)
    assert sentence == "the NVIDIA driver is too old: it is for CUDA 11.8; install one for CUDA 12.0 or later"


def test_a_driver_that_fails_to_initialise_is_reported(emulator, tmp_path):
    broken = wrapped(emulator, tmp_path, 'extern "C" int cuInit(unsigned) { return 999; }')
    sentence = run(CHECK, *USES, FLAMBEAU_CUDA_DRIVER=broken)
    assert sentence.startswith("the NVIDIA driver could not be initialised: ")
    assert sentence.endswith(" (error 999); run nvidia-smi to check the driver")


def test_a_missing_nvrtc_compiler_is_reported(emulator, tmp_path):
    code = """
import flambeau as fb
x = fb.ones(2).cuda()  # copies need no kernel
assert x.tolist() == [1, 1]
try:
    x + 1
except RuntimeError as error:
    print(error)
"""
    environment = {"FLAMBEAU_CUDA_DRIVER": emulator, "FLAMBEAU_CACHE": str(tmp_path)}
    sentence = run(code, FLAMBEAU_NVRTC="/nowhere/libnvrtc.so", **environment)
    assert sentence == (
        "NVRTC, which compiles flambeau's kernels for the GPU, was not found (looked for /nowhere/libnvrtc.so (from "
        "the environment variable FLAMBEAU_NVRTC)); pip install nvidia-cuda-nvrtc, or flambeau-tensor-core[cuda]"
    )
    old = compile_library(tmp_path, 'extern "C" void nothing() {}')
    assert run(code, FLAMBEAU_NVRTC=old, **environment) == (
        "NVRTC is too old: it lacks nvrtcVersion; pip install nvidia-cuda-nvrtc"
    )


def test_importing_flambeau_does_not_load_the_driver(emulator):
    code = """
import flambeau, flambeau.cuda, flambeau.accelerator
x = flambeau.ones(3) + 1
flambeau.manual_seed(0), x.is_pinned(), x.is_cuda, x.get_device(), x.to("cpu")
assert "libemulatedcuda" not in open("/proc/self/maps").read()
flambeau.cuda.is_available()
assert "libemulatedcuda" in open("/proc/self/maps").read()
"""
    run(code, FLAMBEAU_CUDA_DRIVER=emulator)


def test_the_environment_report_says_what_to_install():
    code = "import runpy; runpy.run_module('flambeau.cuda', run_name='__main__')"
    names = ("CUDA_DRIVER", "NVRTC", "CUBLASLT", "CUDNN", "NCCL")
    nowhere = {f"FLAMBEAU_{name}": "/nowhere/library.so" for name in names}
    lines = run(code, FLAMBEAU_CACHE="/somewhere", **nowhere).splitlines()
    assert lines[0].startswith("GPU      none: no NVIDIA driver was found")
    assert lines[1].startswith("compiler NVRTC, which compiles") and "pip install nvidia-cuda-nvrtc" in lines[1]
    assert lines[2:] == ["cache    /somewhere/kernels", "others   no cuBLASLt, no cuDNN, no NCCL"]
    command = [sys.executable, "-m", "flambeau.cuda", "warm"]
    done = subprocess.run(command, env={**os.environ, **nowhere}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 1 and "Compiling kernels requires a GPU and NVRTC" in done.stderr


def test_an_invalid_seed_raises_without_a_gpu():
    with pytest.raises(RuntimeError, match="manual_seed expected an int, but got str"):
        fb.cuda.manual_seed("a")


@pytest.mark.parametrize("name", ["end_capture", "launch_graph", "destroy_graph"])
def test_an_integer_that_is_not_a_graph_is_rejected(name):
    with pytest.raises(ValueError, match="expected a CUDA graph that has not been destroyed"):
        getattr(fb._core, f"_cuda_{name}")(12345)
