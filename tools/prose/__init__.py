"""Checks of the language of comments, docstrings, messages and guides: docs/glossary.md and docstring coverage."""
