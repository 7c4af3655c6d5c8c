"""Invalid arguments do not crash the engine: run hostile_engine.py in a separate process."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import flambeau as fb
from flambeau.autograd import _engine

HOSTILE = Path(__file__).with_name("hostile_engine.py")


@pytest.mark.parametrize("seed", [0, 1])
def test_random_engine_calls_do_not_crash_the_process(seed):
    environment = {**os.environ, "MALLOC_PERTURB_": "165", "MALLOC_CHECK_": "3", "PYTHONFAULTHANDLER": "1"}
    command = [sys.executable, HOSTILE, str(seed), "60"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


def test_functions_of_the_engine_reject_keywords_that_utf8_cannot_encode():
    functions = [value for value in vars(_engine).values() if callable(value) and not isinstance(value, type)]
    assert len(functions) > 20
    for function in functions:
        with pytest.raises((TypeError, RuntimeError)):
            function(**{"\ud800": 1})


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nodes_of_the_graph_cannot_be_pickled(protocol):
    node = (fb.ones(2, requires_grad=True) * 2).grad_fn
    with pytest.raises(TypeError):
        pickle.dumps(node, protocol=protocol)
