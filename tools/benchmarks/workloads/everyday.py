"""Common operations without much computation: attributes, single numbers, indexing, creation, grad modes.

A row has no target if PyTorch takes no longer than a Python call, so that no library can be three times as fast.
"""

from typing import Any

from ..workload import Code, Library, Workload

GROUP = "everyday calls"

TARGETED = (
    "a[0]",
    "a[0, 1]",
    "a[1:3]",
    "a[:, 0]",
    "a[..., None]",
    "a[mask]",
    "a[index]",
    "a[:, index]",
    "a[0] = 1.0",
    "a[0, 1] = 1.0",
    "a[1:3] = 0.0",
    "a[0] = v",
    "a[mask] = 0.0",
    "a[index] = 0.0",
    "list(a)",
    "fb.tensor(1.0)",
    "fb.tensor([1.0, 2.0])",
    "fb.tensor([[1, 2], [3, 4]], dtype=fb.float32)",
    "fb.tensor(array)",
    "fb.as_tensor(array)",
    "fb.from_numpy(array)",
    "fb.arange(10)",
    "fb.zeros_like(a)",
    "fb.rand(4)",
    "fb.randint(0, 10, (4,))",
    "a.to('cpu')",
    "a.to(fb.float64)",
    "a.float()",
    "a.view(16)",
    "a.reshape(-1)",
    "a.unsqueeze(0)",
    "a.permute(1, 0)",
    "a.expand(2, 4, 4)",
    "a.chunk(2)",
    "a.clone()",
    "a.detach()",
    "fb.stack(rows)",
    "fb.cat(rows)",
    "fb.where(mask, a, 0.0)",
    "fb.equal(a, a)",
    "a.argmax(1).tolist()",
    "mask.sum().item()",
    "h.detach().numpy()",
    "with fb.no_grad(): pass",
    "with fb.enable_grad(): pass",
    "with fb.inference_mode(): pass",
    "with fb.set_grad_enabled(False): pass",
    "layer(a)",
    "layer.weight",
    "F.relu(a)",
    "F.dropout(a, 0.5)",
    "F.mse_loss(a, a)",
    "F.interpolate(image, scale_factor=2)",
    "F.avg_pool2d(image, 2)",
    "layer.zero_grad()",
    "optimizer.zero_grad()",
    "optimizer.step()",
)
BOUNDED = (
    "a.shape",
    "a.dtype",
    "a.device",
    "a.requires_grad",
    "w.grad",
    "h.grad_fn",
    "a.size(0)",
    "a.dim()",
    "a.numel()",
    "s.item()",
    "float(s)",
    "int(n)",
    "bool(s)",
    "a.tolist()",
    "a.numpy()",
    "w.grad = None",
    "fb.is_grad_enabled()",
    "fb.finfo(fb.float32).eps",
    "fb.device('cpu')",
)


def names(library: Library) -> dict[str, Any]:
    """Return the names that the statements use."""
    fb, nn = library.fb, library.nn
    w = fb.ones(4, 4, requires_grad=True)
    layer = nn.Linear(4, 4)
    return {
        "fb": fb,
        "F": library.functional,
        "a": library.normal(4, 4),
        "v": library.normal(4),
        "rows": [library.normal(4) for _ in range(4)],
        "mask": library.normal(4, 4) > 0,
        "index": fb.tensor([0, 2]),
        "array": library.normal(4, 4).numpy(),
        "s": fb.tensor(1.5),
        "n": fb.tensor(3),
        "w": w,
        "h": w * 2,
        "image": library.normal(1, 1, 6, 6),
        "layer": layer,
        "optimizer": library.optim.SGD(layer.parameters(), lr=0.1),
    }


def row(statement: str, at_most: float | None) -> Workload:
    """Return the workload of one statement."""
    return Workload(GROUP, statement, lambda library: Code(statement, names(library), compare=False), at_most)


ROWS = (*(row(s, 0.35) for s in TARGETED), *(row(s, None) for s in BOUNDED))
