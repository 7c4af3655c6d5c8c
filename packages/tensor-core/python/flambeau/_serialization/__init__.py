"""Implementation of ``flambeau.save`` and ``flambeau.load``: file formats, Python structures, atomic writing."""
