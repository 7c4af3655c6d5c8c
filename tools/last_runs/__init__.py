"""Dates and results of the sessions outside CI, recorded in docs/checks.toml."""
