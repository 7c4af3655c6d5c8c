"""Call every operator with hostile arguments, for any length of time, and print commands that repeat the failures."""
