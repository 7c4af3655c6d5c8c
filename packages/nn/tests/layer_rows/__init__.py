"""A row for each layer with its repr and its NumPy reference. Each module holds one family of layers."""

from layer_rows import activations, convolutions, linear_and_dropout, normalizations, paddings, pools, shapes

FAMILIES = (linear_and_dropout, activations, convolutions, pools, paddings, normalizations, shapes)
LAYERS = [row for family in FAMILIES for row in family.ROWS]
