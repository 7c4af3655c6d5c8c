"""The documentation site: guides and API reference as HTML, built by Sphinx."""
