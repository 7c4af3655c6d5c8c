"""Error message for the names in `flambeau.distributed.checkpoint`."""

SENTENCE = (
    "flambeau has no checkpoints that several processes save together; let rank 0 save model.state_dict() by "
    "flambeau.save() or safetensors"
)
