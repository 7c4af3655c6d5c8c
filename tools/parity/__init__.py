"""PyTorch as the oracle: its operator table is run on both libraries in one process."""
