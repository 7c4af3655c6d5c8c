"""Vector-quantize-pytorch: codebooks, residual codebooks, and quantization by rounding and by signs."""

from vector_quantize_pytorch import FSQ, LFQ, GroupedResidualVQ, ResidualFSQ, ResidualVQ, SimVQ, VectorQuantize

from tools.ecosystem.cases import fill, normal


def _codebooks(model):
    for seed, (name, buffer) in enumerate(sorted(model.named_buffers())):
        if name.endswith(("embed", "embed_avg", "frozen_codebook")):
            buffer.copy_(normal(*buffer.shape, seed=seed))
        elif name.endswith("initted"):
            buffer.fill_(True)
    return model


def codebook():
    model = _codebooks(
        VectorQuantize(dim=8, codebook_size=16, decay=0.8, commitment_weight=1.0, threshold_ema_dead_code=0)
    )
    inputs = normal(2, 10, 8).requires_grad_()
    quantized, indices, loss = model(inputs)
    (quantized.square().sum() + loss).backward()
    return {
        "quantized": quantized,
        "indices": indices,
        "loss": loss,
        "gradient": inputs.grad,
        "state": model.state_dict(),
    }


def cosine_and_heads():
    model = _codebooks(VectorQuantize(dim=8, codebook_dim=4, codebook_size=16, heads=2, use_cosine_sim=True)).eval()
    fill(model)
    quantized, indices, loss = model(normal(2, 10, 8))
    return {"quantized": quantized, "indices": indices, "loss": loss}


def learned_by_gradients():
    model = VectorQuantize(
        dim=8,
        codebook_size=16,
        learnable_codebook=True,
        ema_update=False,
        rotation_trick=False,
        orthogonal_reg_weight=1.0,
    )
    fill(model)
    inputs = normal(2, 10, 8).requires_grad_()
    quantized, indices, loss = model(inputs)
    (quantized.sum() + loss).backward()
    return {"indices": indices, "loss": loss, "gradients": [p.grad for p in model.parameters() if p.grad is not None]}


def residual():
    model = _codebooks(ResidualVQ(dim=8, codebook_size=16, num_quantizers=3)).eval()
    quantized, indices, losses = model(normal(2, 10, 8))
    grouped = _codebooks(GroupedResidualVQ(dim=8, groups=2, codebook_size=16, num_quantizers=2)).eval()
    return {
        "quantized": quantized,
        "indices": indices,
        "losses": losses,
        "back": model.get_output_from_indices(indices),
        "grouped": list(grouped(normal(2, 10, 8))),
    }


def rounding():
    model = fill(FSQ([8, 5, 5, 5], dim=6))
    inputs = normal(2, 10, 6).requires_grad_()
    quantized, indices = model(inputs)
    quantized.square().sum().backward()
    residual = fill(ResidualFSQ(dim=6, levels=[8, 5, 5, 3], num_quantizers=2)).eval()
    return {
        "quantized": quantized,
        "indices": indices,
        "gradient": inputs.grad,
        "residual": list(residual(normal(1, 4, 6))),
    }


def signs():
    model = fill(LFQ(codebook_size=64, dim=6, entropy_loss_weight=0.02, diversity_gamma=1.0))
    quantized, indices, loss = model(normal(1, 6, 4, 4))
    return {"quantized": quantized, "indices": indices, "loss": loss}


def implicit_codebook():
    model = _codebooks(fill(SimVQ(dim=8, codebook_size=32)))
    quantized, indices, loss = model(normal(1, 20, 8))
    loss.backward()
    return {"quantized": quantized, "indices": indices, "loss": loss}
