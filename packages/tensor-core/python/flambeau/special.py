"""Special functions, as in ``torch.special``.

An operator that is named ``special_<name>`` in the operator registry is public only as ``flambeau.special.<name>``.
The remaining functions are aliases of operators in ``flambeau``.
"""

from flambeau import _core, _public_names, _suggestions

_PREFIX = "special_"
_FUNCTIONS = {
    name.removeprefix(_PREFIX): function for name, function in vars(_core).items() if name.startswith(_PREFIX)
}
_FUNCTIONS["multigammaln"] = _core.mvlgamma
for _name in ("log_softmax", "logit", "logsumexp", "polygamma", "round", "softmax"):
    _FUNCTIONS[_name] = getattr(_core, _name)

globals().update(_FUNCTIONS)

__all__ = sorted(_FUNCTIONS)


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)


_suggestions.suggest_names(__name__)
