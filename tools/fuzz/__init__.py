"""Calls every operator with hostile arguments for as long as one likes, and says how to repeat what went wrong."""
