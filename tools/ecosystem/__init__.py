"""Test of libraries written for PyTorch on flambeau: `python -m tools.ecosystem`."""
