"""Error message for the names in `flambeau.distributed.checkpoint`."""

SENTENCE = (
    "flambeau does not support checkpoints that several processes save together; save model.state_dict() on rank 0 "
    "with flambeau.save() or safetensors"
)
