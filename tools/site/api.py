"""Directives for the entries of the API reference, and links from code to entries.

An entry is one piece of HTML instead of a tree of nodes, so that Sphinx builds thousands of entries in seconds instead
of minutes.
"""

from __future__ import annotations

import html
import posixpath
import re
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from markdown_it import MarkdownIt
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

LINK = re.compile(r"<code[^>]*>(flambeau\.[\w.]+)(?:\(\))?</code>")
MODIFIERS = {"classmethod": "classmethod", "staticmethod": "static method", "property": "property", "class": "class"}


def highlighted(code: str, language: str, _: str) -> str:
    """Return code as HTML, as Sphinx renders code blocks."""
    lines = highlight(code, get_lexer_by_name(language or "text"), HtmlFormatter(nowrap=True))
    name = language or "text"
    return f'<div class="highlight-{name} notranslate"><div class="highlight"><pre>{lines}</pre></div></div>'


def code_block(renderer: Any, tokens: Any, index: int, *_: Any) -> str:
    """Return the HTML of a fenced code block."""
    return highlighted(tokens[index].content, tokens[index].info.strip(), "")


MARKDOWN = MarkdownIt("commonmark", {"html": False})
MARKDOWN.add_render_rule("fence", code_block)


class Api(SphinxDirective):
    """Directive for an entry of the reference: ``{api} kind`` with name, signature, source and documentation."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {
        "name": directives.unchanged_required,
        "signature": directives.unchanged,
        "source": directives.unchanged,
    }

    def run(self) -> list[nodes.Node]:
        """Register the object and return its HTML."""
        kind, name = self.arguments[0], self.options["name"]
        domain = self.env.domains.python_domain
        domain.note_object(name, "function" if kind == "alias" else kind, name, location=self.get_location())
        body = MARKDOWN.render("\n".join(self.content))
        member = " api-member" if kind not in ("function", "class", "data", "alias") else ""
        parts = [f'<dl class="py api{member}"><dt class="sig sig-object py" id="{html.escape(name)}">']
        parts += [self.heading(kind, name), self.source(), f"</dt><dd>{body}</dd></dl>"]
        return [nodes.raw("", "".join(parts), format="html")]

    def heading(self, kind: str, name: str) -> str:
        """Return the HTML of the heading, with the kind, the name and the signature of the object."""
        prefix, _, last = name.rpartition(".")
        kind = f'<em class="property">{MODIFIERS[kind]} </em>' if kind in MODIFIERS else ""
        signature = html.escape(self.options.get("signature", ""))
        return (
            f'{kind}<span class="sig-prename descclassname">{prefix}.</span>'
            f'<span class="sig-name descname">{last}</span><span class="sig-paren">{signature}</span>'
            f'<a class="headerlink" href="#{name}" aria-label="Link to {name}">¶</a>'
        )

    def source(self) -> str:
        """Return the HTML of the link to the definition, or an empty string."""
        if "source" not in self.options:
            return ""
        path, _, line = self.options["source"].partition("#")
        self.env.metadata[self.env.docname].setdefault("api_sources", set()).add(path)
        root = posixpath.relpath(".", posixpath.dirname(self.env.docname))
        name = self.options["name"]
        return f'<a class="api-source" href="{root}/source/{path}.html#{line}" aria-label="Source of {name}">source</a>'


class ApiOverview(SphinxDirective):
    """Directive for an overview of a page's entries. Each line contains a name and a summary."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return a list of links."""
        items = []
        for line in self.content:
            name, _, text = line.partition(" ")
            shown = name.rpartition(".")[2]
            items.append(f'<li><a href="#{name}"><code>{shown}</code></a> {MARKDOWN.renderInline(text)}</li>')
        return [nodes.raw("", f'<ul class="api-overview">{"".join(items)}</ul>', format="html")]


def link_code(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Convert the full names of documented objects in inline code to links to their entries."""
    objects = app.env.domains.python_domain.objects

    def address(name: str) -> str | None:
        entry = objects.get(name) or objects.get(name.replace("fb.", "flambeau.", 1) if name[:3] == "fb." else name)
        return None if entry is None else f"{app.builder.get_relative_uri(docname, entry.docname)}#{entry.node_id}"

    def link(match: re.Match[str]) -> str:
        target = address(match[1])
        return match[0] if target is None else f'<a class="reference" href="{target}">{match[0]}</a>'

    for raw in doctree.findall(nodes.raw):
        text = raw.astext()
        raw.children = []
        raw += nodes.Text(LINK.sub(link, text)) if "<code>flambeau." in text else nodes.Text(text)
    for literal in list(doctree.findall(nodes.literal)):
        target = address(literal.astext().removesuffix("()"))
        if target is not None and not isinstance(literal.parent, nodes.reference | nodes.title):
            literal.replace_self(nodes.reference("", "", literal.deepcopy(), refuri=target, internal=True))


def collapse(app: Sphinx, page: str, template: str, context: dict[str, Any], *_: Any) -> None:
    """Expand only the branch of the current page in the side bar. Links to all pages would make each page large."""
    if "toctree" in context:
        complete = context["toctree"]
        context["toctree"] = lambda **options: complete(**{**options, "collapse": True})


def give_levels(app: Sphinx, page: str, template: str, context: dict[str, Any], *_: Any) -> None:
    """Add the heading level that ARIA requires to the captions of the side bar."""
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("api", Api)
    app.add_directive("api-overview", ApiOverview)
    app.connect("doctree-resolved", link_code)
    app.connect("html-page-context", collapse, priority=100)  # before the theme
    app.connect("html-page-context", give_levels, priority=900)  # after the theme
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}
