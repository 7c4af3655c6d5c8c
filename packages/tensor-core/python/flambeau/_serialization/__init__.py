"""What ``flambeau.save`` and ``flambeau.load`` stand on: the file format, Python structures in it, atomic writing."""
