"""Axial-attention: attention along each axis, reversibly."""

from axial_attention import AxialAttention, AxialImageTransformer

from tools.ecosystem.cases import fill, gradients, normal


def attention():
    layer = fill(AxialAttention(dim=8, dim_index=1, heads=2, num_dimensions=3))
    output = layer(normal(1, 8, 3, 4, 5))
    output.square().sum().backward()
    return {"output": output} | gradients(layer)


def reversible():
    model = fill(AxialImageTransformer(dim=8, depth=2, heads=2, reversible=True, axial_pos_emb_shape=(4, 6)))
    output = model(normal(1, 8, 4, 6).requires_grad_())
    output.square().sum().backward()
    return {"output": output} | gradients(model)
