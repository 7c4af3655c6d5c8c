"""What the library was built for and computes with, as text."""

from flambeau import _core

__all__ = ["parallel_info", "show"]


def show() -> str:
    """The version, the instruction set of the kernels in use, and the GPUs' compiler where there are GPUs."""
    import flambeau

    cuda = flambeau.version.cuda
    built = f"flambeau {flambeau.__version__} built with:\n  - CPU kernels: {_core.instruction_set()}\n"
    return built + f"  - CUDA: {cuda or 'no GPU found'}\n"


def parallel_info() -> str:
    """The numbers of threads."""
    return f"get_num_threads(): {_core.get_num_threads()}, in one pool\n"
