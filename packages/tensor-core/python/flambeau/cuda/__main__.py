"""Report the CUDA installation of this machine and missing components: ``python -m flambeau.cuda``.

``python -m flambeau.cuda warm`` compiles commonly used kernels in advance, so that programs start faster.
"""

from __future__ import annotations

import argparse
import sys

from flambeau import _core, cuda


def report() -> bool:
    """Print the detected components, one per line. Return True if kernels can be compiled and run."""
    if not cuda.is_available():
        print(f"GPU      none: {_core._cuda_obstacle()}")
    else:
        version = _core._cuda_driver_version()
        print(f"driver   for CUDA {version // 1000}.{version % 1000 // 10}")
        for index in range(cuda.device_count()):
            print(f"GPU {index}    {_describe_gpu(index)}")
    try:
        compiler, ready = _compiler(), cuda.is_available()
    except RuntimeError as error:
        compiler, ready = str(error), False
    print(f"compiler {compiler}")
    print(f"cache    {_core._cuda_cache_folder() or 'none: neither FLAMBEAU_CACHE nor HOME is set'}")
    print(f"others   {', '.join(_libraries())}")
    return ready


def _libraries() -> list[str]:
    versions = {
        "cuBLASLt": divmod(_core._cuda_cublaslt_version() // 100, 100),
        "cuDNN": divmod(_core._cuda_cudnn_version() // 100, 100),
        "NCCL": divmod(_core._cuda_nccl_version() // 100, 100),
    }
    return [f"{name} {major}.{minor}" if major else f"no {name}" for name, (major, minor) in versions.items()]


def _describe_gpu(index: int) -> str:
    try:
        known = cuda.get_device_properties(index)
    except RuntimeError as error:
        return str(error)
    return (
        f"{known.name}, {known.total_memory / 2**30:.0f} GiB, compute capability {known.major}.{known.minor}, "
        f"{known.multi_processor_count} multiprocessors"
    )


def _compiler() -> str:
    known = [f"{number // 10}.{number % 10}" for number in _core._cuda_architectures()]
    return "NVRTC {}.{}".format(*_core._cuda_compiler_version()) + f", for compute capability {known[0]} to {known[-1]}"


def main() -> int:
    """Run the command line interface and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m flambeau.cuda", description=__doc__)
    parser.add_argument("command", nargs="?", choices=["report", "warm"], default="report", help="default: %(default)s")
    ready = report()
    if parser.parse_args().command == "report":
        return 0
    if not ready:
        print("Compiling kernels requires a GPU and NVRTC; the report above says what is missing.", file=sys.stderr)
        return 1
    from ._warm import warm

    warm()
    return 0


if __name__ == "__main__":
    sys.exit(main())
