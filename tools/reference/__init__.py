"""The API reference: a page for each module, generated from docstrings and the operator registry."""
