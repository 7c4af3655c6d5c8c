"""Stress test of threads that share tensors, modules, graphs and files."""
