"""Verification and measurement of the CUDA backend on one machine: `python -m tools.card`."""
