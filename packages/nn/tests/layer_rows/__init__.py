"""Every layer with the text it prints and its value in NumPy: a row each, a family a file."""

from layer_rows import activations, convolutions, linear_and_dropout, normalizations, paddings, pools, shapes

FAMILIES = (linear_and_dropout, activations, convolutions, pools, paddings, normalizations, shapes)
LAYERS = [row for family in FAMILIES for row in family.ROWS]
