"""Libraries that are written for PyTorch, run on flambeau: `python -m tools.ecosystem`."""
