"""Names for state dictionaries of distributed models, which raise an error when used."""

from .._missing import unavailable_names

_SENTENCE = (
    "flambeau does not shard models over processes; model.state_dict() and optimizer.state_dict() return the whole "
    "state in each process"
)
_FUNCTIONS = (
    "get_model_state_dict",
    "get_optimizer_state_dict",
    "get_state_dict",
    "set_model_state_dict",
    "set_optimizer_state_dict",
    "set_state_dict",
)
_CLASSES = ("StateDictOptions",)
globals().update(unavailable_names(__name__, _SENTENCE, _FUNCTIONS, _CLASSES))

__all__ = [*_FUNCTIONS, *_CLASSES]
