"""Write the type stub of flambeau's native module from its operator registry."""
