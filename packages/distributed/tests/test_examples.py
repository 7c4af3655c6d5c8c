"""Run the examples in the docstrings of all modules of the package."""

import doctest
import importlib
import pkgutil

import pytest

import flambeau as fb
from flambeau import distributed, nn

NAMES = ["flambeau.distributed"]
NAMES += [module.name for module in pkgutil.walk_packages(distributed.__path__, "flambeau.distributed.")]
NAMES.remove("flambeau.distributed._mpi")  # its import starts MPI, which gives this process a rank


@pytest.mark.parametrize("name", NAMES)
def test_examples_of_distributed_run(name):
    """Run each example in a group of one process, unless the example creates a group itself."""
    module = importlib.import_module(name)
    names = vars(module) | {"fb": fb, "flambeau": fb, "distributed": distributed, "nn": nn}
    for example in doctest.DocTestFinder().find(module, globs=names):
        if not any("init_process_group(" in line.source for line in example.examples):
            distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
        try:
            assert doctest.DocTestRunner().run(example).failed == 0
        finally:
            if distributed.is_initialized():
                distributed.destroy_process_group()


def test_the_modules_of_distributed_have_examples():
    finder = doctest.DocTestFinder()
    examples = [test for name in NAMES for test in finder.find(importlib.import_module(name)) if test.examples]
    assert len(examples) > 90
