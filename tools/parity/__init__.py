"""PyTorch as the oracle: its own operator table, walked with flambeau beside it in one process."""
