"""Test that `python -m flambeau.cuda warm` also runs the operations that other packages register."""

from flambeau.cuda import _warm


def test_warm_up_includes_layers_and_optimizers():
    work = {name: function for name, function in _warm.everything() if name.startswith("float32 ")}
    assert {"float32 exp", "float32 linear", "float32 step of Adam"} <= set(work)
    work["float32 linear"]()
    work["float32 step of Adam"]()
