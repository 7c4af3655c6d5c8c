"""The benchmark: one set of workloads, run for flambeau and for PyTorch in alternating processes."""
