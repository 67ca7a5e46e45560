"""Each operation of a CNN written out as its definition, in NumPy and float64."""
