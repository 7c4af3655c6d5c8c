"""Call every operator with invalid and unusual arguments, and print commands that repeat the failures."""
