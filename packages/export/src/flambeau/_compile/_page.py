"""HTML page about a compiled function: source lines, operators, kernels, memory. It loads no external files."""

from __future__ import annotations

import linecache
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import groupby

from flambeau import __version__

from ._page_memory import figure
from ._page_style import STYLE
from ._profile import Kernel, Operator, Profile
from ._quantities import count, duration, size

KINDS = {
    "product": "products and convolutions",
    "fused": "fused pointwise operators",
    "other": "other operators",
    "view": "views, which move no memory",
}
MAX_REASONS = 12  # maximum number of pairs of operators that are listed for each reason

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header><h1>{name}</h1>{summary}</header>
<main>{body}</main>
<footer>flambeau {version}. Times are the minimum of several runs on this machine, kernel by kernel.</footer>
</body>
</html>
"""


def page(
    name: str,
    profiles: Sequence[Profile],
    files: Mapping[str, str],
    break_reasons: Sequence[str],
    guards: Sequence[Sequence[str]],
) -> str:
    """Return the page as HTML text.

    Args:
        files: dictionary from each ``file:line`` in the programs to the path of the source file.
        break_reasons: why calls ran without a program, and why programs are divided.
        guards: for each program, the names of the objects that it depends on.
    """
    title = "Where Python divides the programs" if profiles else "Why calls run uncompiled"
    parts = [_breaks(title, break_reasons)]
    for i, profile in enumerate(profiles):
        if len(profiles) > 1:
            parts.append(f"<h3>Program {i + 1} of {len(profiles)}</h3>{_facts(profile)}")
        parts += [
            _time(profile),
            _flow_diagram(profile, files),
            figure(profile),
            _boundaries_table(profile),
            _text(profile),
        ]
    parts.append(_guards(guards))
    return _PAGE.format(
        title=escape(f"{name}, compiled"),
        style=STYLE,
        name=escape(name),
        summary=_facts(profiles[0]) if len(profiles) == 1 else "",
        body="\n".join(filter(None, parts)),
        version=escape(__version__),
    )


def _facts(profile: Profile) -> str:
    """Return the totals of the profile as HTML."""
    alone = sum(operator.seconds for operator in profile.operators)
    moved, moved_alone = (sum(x.moved for x in group) for group in (profile.kernels, profile.operators))
    total = sum(kernel.seconds for kernel in profile.kernels)
    checks = f", and {duration(profile.checks[0])} for checks" if profile.checks[1] else ""
    facts = (
        ("Operators", str(len(profile.operators)), f"run as {count(len(profile.kernels), 'kernel')}"),
        ("Time of the kernels", duration(total), f"{duration(alone)} one by one{checks}"),
        ("Memory read and written", size(moved), f"{size(moved_alone)} one by one"),
        ("Intermediate memory", size(profile.peak), "at its peak"),
    )
    items = "".join(
        f"<div><dt>{what}</dt><dd>{escape(value)} <small>{escape(note)}</small></dd></div>"
        for what, value, note in facts
    )
    return f'<dl class="facts">{items}</dl>'


def _breaks(title: str, reasons: Sequence[str]) -> str:
    if not reasons:
        return ""
    items = "".join(f"<li>{escape(reason)}</li>" for reason in reasons)
    return f'<h2>{title}</h2><div class="notice"><ul class="why">{items}</ul></div>'


def _time(profile: Profile) -> str:
    """Return a bar with the fraction of each kernel in the total time as HTML."""
    total = sum(kernel.seconds for kernel in profile.kernels) or 1.0
    bars = "".join(
        f'<i class="{kernel.kind}" style="flex:{kernel.seconds / total:.5f}" '
        f'title="{escape(_names(kernel))}, {duration(kernel.seconds)}"></i>'
        for kernel in profile.kernels
    )
    keys = []
    for kind, meaning in KINDS.items():
        of_kind = [kernel for kernel in profile.kernels if kernel.kind == kind]
        if of_kind:
            seconds = sum(kernel.seconds for kernel in of_kind)
            keys.append(
                f'<li><span class="dot {kind}"></span><b>{seconds / total:.0%}</b> {count(len(of_kind), "kernel")}: '
                f"{meaning}, {duration(seconds)}</li>"
            )
    label = "The share of each kernel in the time, in the order in which they run"
    return (
        f'<h2>Time</h2><div class="share" role="img" aria-label="{label}">{bars}</div>'
        f'<ul class="key">{"".join(keys)}</ul>'
    )


def _flow_diagram(profile: Profile, files: Mapping[str, str]) -> str:
    """Return the kernels next to the source lines that call them as HTML."""
    longest = max((kernel.seconds for kernel in profile.kernels), default=1.0) or 1.0
    total = sum(kernel.seconds for kernel in profile.kernels) or 1.0
    number, items = 0, []
    for lines, kernels in groupby(profile.kernels, key=_lines):
        cells = []
        for kernel in kernels:
            number += 1
            cells.append(_kernel(profile, kernel, number, longest, total))
        items.append(f'<li><div class="source">{_source(lines, files)}</div><div>{"".join(cells)}</div></li>')
    return (
        "<h2>From Python to kernels</h2>"
        '<p class="soft">In the order in which the kernels run. A kernel opens to show its operators, and why it does '
        "not include its neighbours.</p>"
        f'<ol class="flow">{"".join(items)}</ol>'
    )


def _lines(kernel: Kernel) -> tuple[str, ...]:
    return tuple(dict.fromkeys(operator.line for operator in kernel.operators))


def _source(lines: Sequence[str], files: Mapping[str, str]) -> str:
    """Return HTML with source lines, each below its ``file:line``."""
    out = []
    for line in lines:
        code = linecache.getline(files.get(line, ""), int(line.rpartition(":")[2])).strip() if ":" in line else ""
        out.append(f"<p>{escape(line)}</p>" + (f"<pre>{escape(code)}</pre>" if code else ""))
    return "".join(out)


def _names(kernel: Kernel) -> str:
    return " + ".join(operator.name for operator in kernel.operators)


def _kernel(profile: Profile, kernel: Kernel, number: int, longest: float, total: float) -> str:
    """Return the entry of a kernel, which opens to show its operators, as HTML."""
    names = " + ".join(f"<span>{escape(operator.name)}</span>" for operator in kernel.operators)
    results = kernel.writes or kernel.operators[-1].results
    facts = [", ".join(operand.text for operand in results[:3]) + (" …" if len(results) > 3 else "")]
    if kernel.kind == "view":
        facts.append("view")
    elif kernel.moved:
        facts.append(f"{size(kernel.moved)} moved")
        facts.append(f"{kernel.moved / max(kernel.seconds, 1e-9) / 1e9:.1f} GB/s")
    share = kernel.seconds / total
    facts.append(f"{share:.1%} of the time" if share >= 0.001 else "less than 0.1% of the time")
    modules = ", ".join(dict.fromkeys(operator.module for operator in kernel.operators if operator.module))
    layer = f" <small>{escape(modules)}</small>" if modules else ""
    return (
        f'<details class="kernel {kernel.kind}" id="kernel-{number}"><summary>'
        f'<span class="title"><span class="names">{names}{layer}</span>'
        f'<span class="time">{duration(kernel.seconds)}</span></span>'
        f'<span class="bar"><i class="{kernel.kind}" style="width:{kernel.seconds / longest:.2%}"></i></span>'
        f'<span class="facts-line">{escape(" · ".join(filter(None, facts)))}</span></summary>'
        f'<div class="inside">{_operator_rows(profile, kernel)}</div></details>'
    )


def _operator_rows(profile: Profile, kernel: Kernel) -> str:
    """Return the table of a kernel's operators as HTML."""
    rows = "".join(
        f'<tr><th scope="row"><code>{escape(operator.call)}</code></th>'
        f"<td>{escape(', '.join(operand.text for operand in operator.results) or 'none')}</td>"
        f'<td class="n">{size(operator.moved)}</td><td class="n">{duration(operator.seconds)}</td></tr>'
        for operator in kernel.operators
    )
    notes = list(_notes(profile, kernel))
    if len(kernel.operators) > 1:
        alone = sum(operator.seconds for operator in kernel.operators)
        moved = sum(operator.moved for operator in kernel.operators)
        if kernel.as_one:
            saved = f"one by one the operators take {duration(alone)} and move {size(moved)}"
            notes.insert(0, f"As one kernel: {duration(kernel.seconds)} and {size(kernel.moved)}; {saved}.")
        else:
            notes.insert(
                0,
                "The operators ran one by one: a fused kernel takes contiguous tensors of one dtype, float32 or "
                "float64, on the CPU. Only kernels of pointwise operators take tensors that need a gradient or "
                "tensors on a GPU.",
            )
    listed = f'<ul class="why">{"".join(f"<li>{escape(note)}</li>" for note in notes)}</ul>' if notes else ""
    return (
        '<div class="scroll"><table><thead><tr><th scope="col">Operator</th><th scope="col">Result</th>'
        '<th scope="col" class="n">Moves</th><th scope="col" class="n">Alone</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{listed}"
    )


def _notes(profile: Profile, kernel: Kernel) -> Iterator[str]:
    """Yield sentences that explain why ``kernel`` is not fused with its producers and its consumers."""
    numbers = {operator.number for operator in kernel.operators}
    before: dict[str, dict[str, None]] = {}
    after: dict[str, dict[str, None]] = {}
    for producer, consumer, reason in profile.boundaries:
        if consumer.number in numbers and producer.number not in numbers:
            before.setdefault(reason, {})[producer.name] = None
        if producer.number in numbers and consumer.number not in numbers:
            after.setdefault(reason, {})[consumer.name] = None
    for sides, text in ((before, "Not fused with {} before it: {}."), (after, "Not fused with {} after it: {}.")):
        for reason, names in sides.items():
            yield text.format(", ".join(names), reason)


def _boundaries_table(profile: Profile) -> str:
    """Return an HTML table of the neighbouring operators that are not fused, grouped by reason."""
    if not profile.boundaries:
        return ""
    by_reason: dict[str, list[tuple[Operator, Operator]]] = {}
    for producer, consumer, reason in profile.boundaries:
        by_reason.setdefault(reason, []).append((producer, consumer))
    rows = "".join(
        f'<tr><th scope="row">{escape(reason)}</th><td class="n">{len(pairs)}</td>'
        f"<td><code>{_fusion_pairs(pairs)}</code></td></tr>"
        for reason, pairs in sorted(by_reason.items(), key=lambda item: -len(item[1]))
    )
    return (
        "<h2>Why neighbours are separate kernels</h2>"
        '<div class="scroll"><table><caption>An operator and one that reads its result</caption>'
        '<thead><tr><th scope="col">Reason</th><th scope="col" class="n">Pairs</th><th scope="col">Operators</th></tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
    )


def _fusion_pairs(pairs: Iterable[tuple[Operator, Operator]]) -> str:
    names: dict[str, int] = {}
    for producer, consumer in pairs:
        text = f"{producer.name} → {consumer.name}"
        names[text] = names.get(text, 0) + 1
    shown = [f"{text}{f' ({n})' if n > 1 else ''}" for text, n in list(names.items())[:MAX_REASONS]]
    return escape(", ".join(shown) + (" …" if len(names) > MAX_REASONS else ""))


def _text(profile: Profile) -> str:
    return f'<details class="text"><summary>The program</summary><pre>{escape(profile.text)}</pre></details>'


def _guards(guards: Sequence[Sequence[str]]) -> str:
    """Return an HTML list of the guards, the objects that are compared before each call."""
    if not any(guards):
        return ""
    listed = "\n\n".join("\n".join(paths) for paths in guards)
    summary = f"What is compared before each call ({sum(map(len, guards))})"
    return f'<details class="text"><summary>{summary}</summary><pre>{escape(listed)}</pre></details>'
