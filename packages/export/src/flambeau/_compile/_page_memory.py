"""SVG figure of the memory that intermediate results occupy while the kernels of a program run."""

from __future__ import annotations

from html import escape

from ._profile import Block, Profile
from ._quantities import count, size

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 1000.0, 300.0, 62.0, 26.0, 10.0
MAX_TICKS = 12
CHARACTER = 6.8  # width of a character in the figure


def figure(profile: Profile) -> str:
    """Return an HTML section with a rectangle for each memory block, from the first kernel that uses it to the last."""
    if not profile.blocks:
        return ""
    picture = _MemoryChart(profile)
    largest = max(profile.blocks, key=lambda block: block.operand.nbytes)
    label = (
        f"{count(len(profile.blocks), 'block')} of intermediate memory over {count(len(profile.kernels), 'kernel')}; "
        f"at most {size(profile.peak)} at once. The largest, {size(largest.operand.nbytes)}, is the result of "
        f"{profile.kernels[largest.kernel].operators[-1].name}."
    )
    return (
        '<h2>Memory</h2><figure><div class="scroll" tabindex="0">'
        f'<svg viewBox="0 0 {WIDTH:.0f} {HEIGHT + TOP + BOTTOM:.0f}" role="img" aria-label="{escape(label)}">'
        f"{picture.rules()}{''.join(map(picture.block, profile.blocks))}{picture.ticks()}</svg></div>"
        f"<figcaption>{escape(label)} Each rectangle is the memory of one result, from the kernel that writes it to "
        "the last that reads it; its height is its size. Views and results that replace an operand share its "
        "rectangle. Arguments and parameters are not shown.</figcaption></figure>"
    )


class _MemoryChart:
    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._step = (WIDTH - LEFT) / max(len(profile.kernels), 1)
        self._height = max((block.offset + block.operand.nbytes for block in profile.blocks), default=1)
        self._scale = HEIGHT / self._height

    def block(self, block: Block) -> str:
        """Return the SVG rectangle of one block of memory: kernels in which it is in use, by its addresses."""
        kernel = self._profile.kernels[block.kernel]
        x, width = LEFT + block.kernel * self._step, (block.end - block.kernel + 1) * self._step
        height = block.operand.nbytes * self._scale
        y = TOP + HEIGHT - block.offset * self._scale - height
        names = " + ".join(operator.name for operator in kernel.operators)
        kernels = f"kernels {block.kernel + 1} to {block.end + 1}"
        title = f"{names}: {block.operand.text}, {size(block.operand.nbytes)}, {kernels}"
        text = kernel.operators[-1].name
        label = ""
        if height >= 14 and width >= CHARACTER * len(text) + 8:
            label = f'<text class="on" x="{x + 4:.1f}" y="{y + min(height / 2, 40) + 4:.1f}">{escape(text)}</text>'
        return (
            f'<g><title>{escape(title)}</title><rect class="block {kernel.kind}" x="{x:.1f}" y="{y:.1f}" '
            f'width="{width:.1f}" height="{max(height, 0.5):.1f}" rx="2"/>{label}</g>'
        )

    def rules(self) -> str:
        """Return horizontal lines at quarters of the peak, labelled with sizes."""
        out = []
        for quarter in range(5):
            y = TOP + HEIGHT * (1 - quarter / 4)
            out.append(
                f'<line class="rule" x1="{LEFT}" x2="{WIDTH:.0f}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{size(self._height * quarter / 4)}</text>'
            )
        return "".join(out)

    def ticks(self) -> str:
        """Return the numbers of the kernels as labels below the figure."""
        kernels = len(self._profile.kernels)
        every = -(-kernels // MAX_TICKS)
        return (
            "".join(
                f'<text x="{LEFT + (i + 0.5) * self._step:.1f}" y="{TOP + HEIGHT + 18:.0f}" text-anchor="middle">'
                f"{i + 1}</text>"
                for i in range(0, kernels, every)
            )
            + f'<text x="{LEFT - 6}" y="{TOP + HEIGHT + 18:.0f}" text-anchor="end">kernel</text>'
        )
