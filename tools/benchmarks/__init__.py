"""The benchmark: the same workloads, run with flambeau and with PyTorch in alternating processes."""
