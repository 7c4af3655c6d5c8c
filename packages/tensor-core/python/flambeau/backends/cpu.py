"""Instruction sets of the CPU."""

from flambeau import _core


def get_cpu_capability() -> str:
    """Return the instruction set of the kernels in use: "DEFAULT", "AVX2" or "AVX512".

    >>> flambeau.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2", "AVX512")
    True
    """
    name = _core.instruction_set().upper()
    return name if name in ("AVX2", "AVX512") else "DEFAULT"
