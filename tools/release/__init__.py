"""Wheels and source distributions of a release: `nox -s release`."""
