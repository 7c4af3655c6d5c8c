"""Text reports on the build and on the number of threads."""

from flambeau import _core

__all__ = ["parallel_info", "show"]


def show() -> str:
    """Return the version, the instruction set of the CPU kernels, and the version of the GPU compiler if available."""
    import flambeau

    cuda = flambeau.version.cuda
    built = f"flambeau {flambeau.__version__} built with:\n  - CPU kernels: {_core.instruction_set()}\n"
    return built + f"  - CUDA: {cuda or 'no GPU found'}\n"


def parallel_info() -> str:
    """Return a string with the number of threads."""
    return f"get_num_threads(): {_core.get_num_threads()}, in one pool\n"
