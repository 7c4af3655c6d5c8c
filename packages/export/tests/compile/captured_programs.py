"""Counts of the programs that `flambeau.compile` captured."""


def captures(function):
    """Return the number of programs of a compiled function."""
    return len(function.captured)


def programs_of(module):
    """Return the programs of a compiled module."""
    return module.programs.captured
