"""Writer of event files for TensorBoard, based on tensorboardX.

    pip install "flambeau-tensor-core[tensorboard]"

>>> from flambeau.utils.tensorboard import SummaryWriter  # doctest: +SKIP
>>> with SummaryWriter("runs/first") as writer:  # doctest: +SKIP
...     for step in range(100):
...         writer.add_scalar("loss", 1 / (step + 1), step)
"""

try:
    from flambeau.utils.tensorboard._writer import FileWriter, SummaryWriter
except ModuleNotFoundError as error:
    if error.name != "tensorboardX":
        raise
    raise ImportError(
        "flambeau.utils.tensorboard writes through tensorboardX, which is not installed: "
        'pip install "tensorboardX>=2.6"',
        name="tensorboardX",
    ) from None

__all__ = ["FileWriter", "SummaryWriter"]
