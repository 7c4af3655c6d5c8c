"""What `DistributedDataParallel.register_comm_hook` takes: other ways of averaging gradients."""
