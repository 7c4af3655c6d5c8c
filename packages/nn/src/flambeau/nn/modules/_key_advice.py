"""Error messages for a state dictionary with wrong keys: they name the likely mistake and its correction."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from flambeau._suggestions import nearest

# Each missing key is compared with each unexpected key. If there are more pairs than this, the comparison is skipped.
MAX_COMPARED_PAIRS = 40_000

# Wrappers that add a prefix to keys: data parallelism, compilation, sharding, activation checkpointing.
WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")

NESTED = (
    "The dictionary seems to be a whole checkpoint, which has the module's state under the key {key!r}{others}; write "
    "load_state_dict(checkpoint[{key!r}])"
)
EXTRA_PREFIX = (
    'Every missing key is present with the prefix "{prefix}" ({example!r}){reason}; remove it with '
    "{{key.removeprefix({prefix!r}): value for key, value in state.items()}}"
)
LACKING_PREFIX = (
    'Every missing key is present without the prefix "{prefix}" ({example!r}){reason}; add it with '
    "{{{prefix!r} + key: value for key, value in state.items()}}, or load into the module's {attribute!r}"
)
WRAPPED_INSIDE = (
    'Every missing key is present with "{wrapper}." inside ({example!r}), which a wrapper added; remove it with '
    "{{key.replace({wrapper_dot!r}, ''): value for key, value in state.items()}}"
)
REASONS = {
    "module.": ", which DataParallel adds",
    "_orig_mod.": ", which compile() adds",
    "model.": ", as if the module was an attribute of a larger one",
}


class _LikelyMistake(NamedTuple):
    """Advice for the error message, and the missing and unexpected keys that the mistake explains."""

    advice: str
    missing: set[str]
    unexpected: set[str]


def problems(missing: list[str], unexpected: list[str], state: Mapping[str, Any]) -> list[str]:
    """Return a line for each problem. If a likely mistake is found, the first line describes it."""
    explained = (
        _check_nested(missing, state)
        or _check_extra_prefix(missing, unexpected)
        or _check_missing_prefix(missing, unexpected)
        or _check_wrapped_inside(missing, unexpected)
    )
    lines = []
    if explained is not None:
        lines.append(explained.advice)
        missing = [key for key in missing if key not in explained.missing]
        unexpected = [key for key in unexpected if key not in explained.unexpected]
    if missing:
        lines.append(f"Missing key(s) in state_dict: {_with_candidates(missing, unexpected)}.")
    if unexpected:
        lines.append(f"Unexpected key(s) in state_dict: {_with_candidates(unexpected, missing)}.")
    return lines


def loading_hint(value: object) -> str:
    """Return a hint on how to get a state dictionary from ``value``, if it is a module or the path of a file."""
    if isinstance(value, str | os.PathLike):
        return f"; load the file first: load_state_dict(flambeau.load({os.fspath(value)!r}))"
    return "; write load_state_dict(other.state_dict())" if callable(getattr(value, "state_dict", None)) else ""


def _check_nested(missing: list[str], state: Mapping[str, Any]) -> _LikelyMistake | None:
    for key, value in state.items():
        if missing and isinstance(value, Mapping) and all(name in value for name in missing):
            others = ", ".join(repr(other) for other in [other for other in state if other != key][:4])
            hint = f" (other keys: {others})" if others else ""
            return _LikelyMistake(NESTED.format(key=key, others=hint), set(missing), set(state))
    return None


def _check_extra_prefix(missing: list[str], unexpected: list[str]) -> _LikelyMistake | None:
    for prefix in _prefixes(missing[:1], unexpected):
        if {prefix + key for key in missing} <= set(unexpected):
            example, reason = prefix + missing[0], REASONS.get(prefix, "")
            advice = EXTRA_PREFIX.format(prefix=prefix, example=example, reason=reason)
            return _LikelyMistake(advice, set(missing), {key for key in unexpected if key.startswith(prefix)})
    return None


def _check_missing_prefix(missing: list[str], unexpected: list[str]) -> _LikelyMistake | None:
    for prefix in _prefixes(unexpected, missing[:1]):
        stripped = [key.removeprefix(prefix) for key in missing if key.startswith(prefix)]
        if len(stripped) == len(missing) and set(stripped) <= set(unexpected):
            advice = LACKING_PREFIX.format(
                prefix=prefix, example=stripped[0], reason=REASONS.get(prefix, ""), attribute=prefix.removesuffix(".")
            )
            return _LikelyMistake(advice, set(missing), set(unexpected))
    return None


def _prefixes(shorter: Iterable[str], longer: Iterable[str]) -> Iterator[str]:
    """Yield each prefix that ends with a dot and turns a shorter key into a longer key; the shortest prefix first."""
    pairs = sorted(
        ((short, long) for short in shorter for long in longer), key=lambda pair: len(pair[1]) - len(pair[0])
    )
    for short, long in pairs:
        if long.endswith(f".{short}"):
            yield long.removesuffix(short)


def _check_wrapped_inside(missing: list[str], unexpected: list[str]) -> _LikelyMistake | None:
    for wrapper in WRAPPERS:
        stripped = {key.replace(f"{wrapper}.", ""): key for key in unexpected if f".{wrapper}." in f".{key}"}
        if missing and stripped and all(key in stripped for key in missing):
            example = stripped[missing[0]]
            advice = WRAPPED_INSIDE.format(wrapper=wrapper, wrapper_dot=f"{wrapper}.", example=example)
            return _LikelyMistake(advice, set(missing), set(stripped.values()))
    return None


def _with_candidates(keys: list[str], candidates: list[str]) -> str:
    if len(keys) * len(candidates) > MAX_COMPARED_PAIRS:
        candidates = []
    described = []
    for key in keys:
        match = nearest(str(key), candidates)
        described.append(f'"{key}" (nearest: "{match}")' if match else f'"{key}"')
    return ", ".join(described)
