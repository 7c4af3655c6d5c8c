"""Complex numbers: dtypes, construction, parts, arithmetic and functions against NumPy's."""
