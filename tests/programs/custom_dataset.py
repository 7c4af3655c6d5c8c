"""Custom data sets and loaders: files, transforms, workers, samplers, iterable data, collation, splits."""

import csv
import os

import numpy as np
import torch
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    WeightedRandomSampler,
    get_worker_info,
    random_split,
)


class FaceLandmarksDataset(Dataset):
    """Landmarks in a CSV file, with pictures as arrays in the same folder."""

    def __init__(self, csv_file, root_dir, transform=None):
        with open(csv_file) as file:
            self.rows = list(csv.reader(file))[1:]
        self.root_dir = root_dir
        self.transform = transform

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, idx):
        if torch.is_tensor(idx):
            idx = idx.tolist()
        image = np.load(os.path.join(self.root_dir, self.rows[idx][0]))
        landmarks = np.array(self.rows[idx][1:], dtype=float).reshape(-1, 2)
        sample = {"image": image, "landmarks": landmarks}
        return self.transform(sample) if self.transform else sample


class Shift:
    def __init__(self, by):
        self.by = by

    def __call__(self, sample):
        return {"image": np.roll(sample["image"], self.by, axis=1), "landmarks": sample["landmarks"] + [self.by, 0]}


class ToTensor:
    def __call__(self, sample):
        image = sample["image"].transpose((2, 0, 1))
        return {"image": torch.from_numpy(image.copy()), "landmarks": torch.from_numpy(sample["landmarks"])}


class Compose:
    def __init__(self, *steps):
        self.steps = steps

    def __call__(self, sample):
        for step in self.steps:
            sample = step(sample)
        return sample


class Count(IterableDataset):
    def __init__(self, start, end):
        self.start, self.end = start, end

    def __iter__(self):
        info = get_worker_info()
        if info is None:
            return iter(range(self.start, self.end))
        return iter(range(self.start + info.id, self.end, info.num_workers))


class Squares(Dataset):
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return index, torch.tensor(float(index**2))


def pad_collate(batch):
    lengths = torch.tensor([len(item) for item in batch])
    return torch.nn.utils.rnn.pad_sequence([torch.as_tensor(item) for item in batch], batch_first=True), lengths


def write_files(folder, count=10):
    rng = np.random.default_rng(0)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "landmarks.csv"), "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "x0", "y0", "x1", "y1"])
        for i in range(count):
            np.save(os.path.join(folder, f"{i}.npy"), rng.random((6, 5, 3), dtype=np.float32))
            writer.writerow([f"{i}.npy", *rng.integers(0, 5, 4)])


def main():
    write_files("faces")
    dataset = FaceLandmarksDataset("faces/landmarks.csv", "faces", transform=Compose(Shift(2), ToTensor()))
    for i, sample in enumerate(dataset):
        print(i, sample["image"].size(), sample["landmarks"].size())
        if i == 2:
            break
    batches = {}
    for workers in (0, 2):
        loader = DataLoader(dataset, batch_size=4, shuffle=False, num_workers=workers)
        batches[workers] = list(loader)
        assert [len(batch["image"]) for batch in batches[workers]] == [4, 4, 2] and len(loader) == 3
        assert batches[workers][0]["landmarks"].dtype == torch.float64
    assert all(torch.equal(a["image"], b["image"]) for a, b in zip(batches[0], batches[2]))

    assert sorted(DataLoader(Count(3, 20), batch_size=None, num_workers=2)) == list(range(3, 20))
    assert torch.cat(list(DataLoader(Count(0, 5), batch_size=2))).tolist() == [0, 1, 2, 3, 4]

    generator = torch.Generator().manual_seed(42)
    train, test = random_split(Squares(10), [0.7, 0.3], generator=generator)
    assert len(train) == 7 and sorted([*train.indices, *test.indices]) == list(range(10))
    both = ConcatDataset([train, Subset(Squares(100), [90, 99])])
    assert len(both) == 9 and both[-1] == (99, torch.tensor(99.0**2))

    index, square = next(iter(DataLoader(Squares(8), batch_size=8, shuffle=True, generator=generator)))
    assert torch.equal(index**2, square) and index.dtype == torch.int64
    weighted = WeightedRandomSampler([0.0, 1.0, 3.0], 2000, replacement=True)
    drawn = torch.bincount(torch.tensor(list(weighted)), minlength=3)
    assert drawn[0] == 0 and 2.3 < drawn[2] / drawn[1] < 3.9
    assert list(BatchSampler(SequentialSampler(range(5)), 2, drop_last=True)) == [[0, 1], [2, 3]]
    assert sorted(RandomSampler(range(5))) == [0, 1, 2, 3, 4]

    ragged = [[1, 2, 3], [4], [5, 6]]
    padded, lengths = next(iter(DataLoader(ragged, batch_size=3, collate_fn=pad_collate)))
    assert padded.tolist() == [[1, 2, 3], [4, 0, 0], [5, 6, 0]] and lengths.tolist() == [3, 1, 2]
    try:
        next(iter(DataLoader([torch.zeros(2), torch.zeros(3)], batch_size=2)))
    except RuntimeError as error:
        print(f"As it should: {error}")
    else:
        raise AssertionError("a ragged batch")


if __name__ == "__main__":
    main()
