"""Webdataset: samples from archives, decoded, batched and loaded."""

import io
import tempfile
from pathlib import Path

import numpy as np
import torch
import webdataset as wds
from PIL import Image

from tools.ecosystem.cases import normal


def _write(folder):
    with wds.ShardWriter(f"{folder}/part-%02d.tar", maxcount=4, verbose=0) as writer:
        for i in range(10):
            pixels = np.full((4, 4, 3), 10 * i, dtype=np.uint8)
            picture = io.BytesIO()
            Image.fromarray(pixels).save(picture, format="png")
            writer.write(
                {
                    "__key__": f"{i:04}",
                    "png": picture.getvalue(),
                    "cls": i % 3,
                    "npy": normal(2, seed=i).numpy(),
                    "pth": normal(3),
                }
            )
    return [str(path) for path in sorted(Path(folder).glob("*.tar"))]


def archives():
    with tempfile.TemporaryDirectory() as folder:
        shards = _write(folder)
        data = wds.WebDataset(shards, shardshuffle=False).decode("torchrgb").to_tuple("png", "cls", "npy", "pth")
        batches = list(wds.WebLoader(data.batched(4), batch_size=None, num_workers=0))
        piped = wds.DataPipeline(
            wds.SimpleShardList(shards),
            wds.split_by_worker,
            wds.tarfile_to_samples(),
            wds.decode(),
            wds.to_tuple("npy", "cls"),
            wds.map_tuple(torch.from_numpy, None),
        )
        loaded = torch.utils.data.DataLoader(piped, batch_size=5)
        return {"batches": [list(batch) for batch in batches], "loaded": [list(batch) for batch in loaded]}
