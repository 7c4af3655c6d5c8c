"""Work on a GPU is timed to its end, and has separate rows."""

import re
from pathlib import Path

import numpy as np
import pytest

from .. import footprint, workload
from ..command_line import select
from ..timing import Effort
from ..worker import measured
from ..workload import Code, Library, Workload
from ..workloads import WORKLOADS
from ..workloads.vision_transformer import vit_small

BRIEF = Effort(warm_up=1_000_000, batch=1_000_000, total=5_000_000, least_batches=3)


class Queue:
    """Simulated GPU that starts when the program waits for it: a launch takes 20 ns, and the work 2 ms."""

    def __init__(self) -> None:
        self.waiting, self.now = 0, 0

    def launch(self) -> None:
        self.waiting, self.now = self.waiting + 1, self.now + 20

    def synchronize(self) -> None:
        self.waiting, self.now = 0, self.now + 2_000_000 * self.waiting


class LibraryWithQueue(Library):
    class fb:
        cuda = Queue()


def launches(library: Library) -> Code:
    return Code(library.fb.cuda.launch)


def test_a_gpu_timing_waits_for_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workload, "perf_counter_ns", lambda: LibraryWithQueue.fb.cuda.now)
    row = Workload("GPU", "launch", launches, device="cuda")
    reading = measured(row, LibraryWithQueue("queue", "cuda"), False, BRIEF)
    assert reading["value"] == pytest.approx(0.00200002)
    assert measured(row, LibraryWithQueue("queue", "cpu"), False, BRIEF)["value"] == pytest.approx(20e-9)


def test_the_baseline_may_use_another_function() -> None:
    row = Workload("any", "one against two", lambda library: 1.0, unit="ms", against=lambda library: 2.0)
    readings = [measured(row, Library("none"), baseline, BRIEF)["value"] for baseline in (False, True)]
    assert readings == [1.0, 2.0]


def test_each_device_has_separate_rows() -> None:
    everything = [re.compile("")]
    assert {row.device for row in select(everything, "cpu")} == {"cpu"}
    assert {row.device for row in select(everything, "cuda")} == {"cuda"}
    assert {row.device for row in WORKLOADS} == {"cpu", "cuda"}


def test_vit_small_has_the_published_number_of_parameters() -> None:
    pytest.importorskip("flambeau.nn")
    model = vit_small(Library("flambeau"))
    # 22 million, and 4.6 GFLOP for each image: arXiv:2012.12877, table 1.
    assert round(sum(parameter.numel() for parameter in model.parameters()) / 1e6) == 22
    assert model(Library("flambeau").normal(1, 3, 224, 224)).shape == (1, 1000)


def test_inputs_are_the_same_on_every_device() -> None:
    class Array(np.ndarray):
        place = "cpu"

        def to(self, place: str) -> "Array":
            self.place = place
            return self

    class LibraryOfArrays(Library):
        class fb:
            tensor = staticmethod(lambda array: array.view(Array))

    on_cpu, on_gpu = (LibraryOfArrays("numpy", device).normal(3, 4) for device in ("cpu", "cuda"))
    assert (on_cpu == on_gpu).all()
    assert (on_cpu.place, on_gpu.place) == ("cpu", "cuda")


def test_gpu_import_time_is_the_time_that_visible_gpus_add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = "import os, time\ntime.sleep(0.3 if 'CUDA_VISIBLE_DEVICES' not in os.environ else 0)\n"
    (tmp_path / "looks_for_gpus.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert footprint.gpu_import_ms("looks_for_gpus") == pytest.approx(300, rel=0.5)
