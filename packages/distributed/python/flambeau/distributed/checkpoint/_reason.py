"""Error message for the functions and classes of `flambeau.distributed.checkpoint`, which are not implemented."""

REASON = (
    "flambeau does not support checkpoints that several processes save together; save model.state_dict() on rank 0 "
    "with flambeau.save() or safetensors"
)
