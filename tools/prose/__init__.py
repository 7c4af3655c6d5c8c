"""Checks of comments, docstrings, messages and guides: words of docs/glossary.md, and docstring coverage."""
