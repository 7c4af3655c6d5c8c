"""Tests of the Sobol sequence against its definition.

Along each axis, every block of 2**m points has one point in each interval of length 2**-m.
"""

import subprocess
import sys

import numpy as np
import pytest

import flambeau as fb
from flambeau.quasirandom import SobolEngine


def is_even(points):
    """Return True if every axis has one point in each of ``len(points)`` equal intervals."""
    cells = (points * len(points)).floor().long()
    return all(sorted(column) == list(range(len(points))) for column in cells.T.tolist())


@pytest.mark.parametrize("options", [{}, {"scramble": True}, {"scramble": True, "seed": 3}])
def test_blocks_of_sobol_points_are_evenly_distributed(options):
    engine = SobolEngine(7, **options)
    first = engine.draw_base2(5, dtype=fb.float64)
    assert first.shape == (32, 7) and first.dtype is fb.float64 and is_even(first)
    assert is_even(fb.cat([first, engine.draw(32, dtype=fb.float64)])) and engine.num_generated == 64


def test_the_sobol_sequence_begins_with_known_points():
    points = SobolEngine(3).draw(5)
    assert points.dtype is fb.float32
    expected = [[0, 0, 0], [0.5, 0.5, 0.5], [0.75, 0.25, 0.25], [0.25, 0.75, 0.75], [0.375, 0.375, 0.625]]
    assert points.tolist() == expected


def test_sobol_engine_reset_and_fast_forward_select_points_of_the_sequence():
    engine = SobolEngine(2, scramble=True, seed=1)
    points = engine.draw(6)
    assert fb.equal(engine.reset().fast_forward(4).draw(2), points[4:]) and engine.num_generated == 6
    assert fb.equal(SobolEngine(2, scramble=True, seed=1).draw(6), points)
    assert not fb.equal(SobolEngine(2, scramble=True, seed=2).draw(6), points)
    assert repr(engine) == "SobolEngine(dimension=2, scramble=True, seed=1)" and repr(SobolEngine(5)).endswith("=5)")


def test_scrambling_without_a_seed_uses_the_default_generator():
    drawn = []
    for seed in (1, 2, 1):
        fb.manual_seed(seed)
        drawn.append(SobolEngine(4, scramble=True).draw(3))
    assert fb.equal(drawn[0], drawn[2]) and not fb.equal(drawn[0], drawn[1])


def test_scrambled_sobol_points_equal_those_of_pytorch():
    # Values of PyTorch 2.13.0 for these seeds.
    fb.random.use_pytorch_streams()
    try:
        points = SobolEngine(3, scramble=True, seed=7).draw(2)
        fb.manual_seed(1)
        unseeded = SobolEngine(2, scramble=True).draw(1)
    finally:
        fb.random.use_pytorch_streams(False)
    expected = [[0.19947313, 0.17093220, 0.74935693], [0.69220829, 0.71149492, 0.48982981]]
    np.testing.assert_allclose(points.numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(unseeded.numpy(), [[0.26772547, 0.36175454]], rtol=1e-6)


def test_sobol_points_can_be_written_to_out():
    out = fb.empty(0, dtype=fb.float64)
    assert SobolEngine(3).draw(4, out) is out and out.shape == (4, 3) and out[1].tolist() == [0.5] * 3


def test_sobol_engine_rejects_invalid_arguments():
    for dimension in (0, SobolEngine.MAXDIM + 1):
        with pytest.raises(ValueError, match=r"\[1, 21201\]"):
            SobolEngine(dimension)
    engine = SobolEngine(1)
    engine.draw(1)
    with pytest.raises(ValueError, match=r"n=1\+2\*\*2=5"):
        engine.draw_base2(2)
    code = """
import sys
sys.modules["scipy"] = None
import flambeau
try:
    flambeau.quasirandom.SobolEngine(1)
except ImportError as error:
    print(error)
"""
    assert "pip install scipy" in subprocess.check_output([sys.executable, "-c", code], text=True)
