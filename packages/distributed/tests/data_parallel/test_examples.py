"""Run the examples in docstrings that need a process group."""

import doctest

import flambeau as fb
from flambeau import distributed
from flambeau.distributed.nn import functional


def test_examples_of_collectives_run():
    found = doctest.testmod(functional, extraglobs={"fb": fb, "distributed": distributed})
    assert found.failed == 0 and found.attempted > 0
