"""Test that programs leave no process and no shared memory behind, and that missing resources raise errors."""

from __future__ import annotations

import errno
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flambeau.data import DataLoader, Dataset, TensorDataset, _shared_file

SECONDS = 60  # timeout; no test takes that long

SCRIPT = """
    import os, signal, sys, time
    import numpy as np
    from flambeau.data import DataLoader, Dataset, get_worker_info

    class Images(Dataset):
        def __len__(self):
            return 100

        def __getitem__(self, index):
            if index >= 4 and "slow" in sys.argv:
                os.write(1, f"{{os.getpid()}}\\n".encode())  # one write, since both workers share the pipe
                time.sleep({seconds})
            return np.zeros((100, 100)), os.getpid()

    if __name__ == "__main__":
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a background process ignores SIGINT
        batches = iter(DataLoader(Images(), 1, num_workers=2))
        for _ in range(2):
            worker = next(batches)[1].item()
            if "slow" not in sys.argv:
                print(worker, flush=True)
        {then}
"""


def script(then: str, *arguments: str) -> subprocess.Popen[str]:
    code = textwrap.dedent(SCRIPT).format(then=then, seconds=SECONDS)
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE) | {"text": True}
    return subprocess.Popen([sys.executable, "-c", code, *arguments], **pipes, start_new_session=True)


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """Wait until both workers run (or sleep, if samples are slow) and return their process ids."""
    assert process.stdout is not None
    pipe = process.stdout.fileno()

    def line() -> bytes:  # unbuffered, since communicate() would not return what a file object has read ahead
        text = b""
        while (byte := os.read(pipe, 1)) not in (b"\n", b""):
            text += byte
        return text

    return [int(line()) for _ in range(2)]


def is_running(pid: int) -> bool:
    """Return True if the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS / 2
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("arguments", [[], ["slow"]])
def test_workers_exit_if_the_parent_process_is_killed(arguments: list[str]) -> None:
    process = script("time.sleep(1000)", *arguments)
    workers = workers_of(process)
    assert len(workers) == 2 and all(map(is_running, workers))
    process.kill()
    wait_until(lambda: not any(map(is_running, workers)))
    process.communicate()


@pytest.mark.parametrize("then", ["time.sleep(1000)", "list(batches)"])
def test_ctrl_c_ends_the_loader_and_its_workers_at_once(then: str) -> None:
    process = script(then, "slow")
    workers = workers_of(process)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=SECONDS / 2)
    assert process.returncode == -signal.SIGINT and errors.rstrip().endswith("KeyboardInterrupt")
    assert errors.count("Traceback") == 1
    assert not any(map(is_running, workers))


@pytest.mark.parametrize(
    ("then", "arguments"),
    [("sys.exit(3)", []), ("list(batches); sys.exit(3)", []), ("sys.stdin.readline(); sys.exit(3)", ["slow"])],
)
def test_sys_exit_ends_the_workers(then: str, arguments: list[str]) -> None:
    process = script(then, *arguments)
    workers = workers_of(process)
    _, errors = process.communicate("\n", timeout=SECONDS / 2)
    assert (process.returncode, errors) == (3, "")
    assert not any(map(is_running, workers))


FORK = """
    child = os.fork()
    if not child:
        try:
            next(batches)
        except RuntimeError as error:
            print(error, flush=True)
        sys.exit()
    os.waitpid(child, 0)
    print(len(list(batches)))
"""


def test_a_forked_child_that_exits_does_not_end_the_workers() -> None:
    process = script(textwrap.indent(textwrap.dedent(FORK), "    ").strip())
    workers_of(process)
    output, errors = process.communicate(timeout=SECONDS)
    assert output.splitlines() == [
        "this iterator over the DataLoader belongs to the parent process, which created it before the fork: call "
        "iter(loader) in this process",
        "98",
    ]
    assert errors == ""


class Images(Dataset[Any]):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> np.ndarray:
        return np.full((100, 100), index, dtype=np.float32)


def no_room(descriptor: int, offset: int, size: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_missing_space_for_shared_memory_causes_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "posix_fallocate", no_room)
    with pytest.warns(RuntimeWarning, match="cannot allocate shared memory .*No space left") as caught:
        batches = list(DataLoader(Images(), 2, num_workers=2, timeout=SECONDS))
    assert len(caught) == 1
    assert [batch[:, 0, 0].tolist() for batch in batches] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    for batch in batches:
        batch += 1


@pytest.mark.parametrize("missing", [["memfd_create"], ["memfd_create", "posix_fallocate"]], ids=["older", "macOS"])
def test_workers_run_on_systems_with_fewer_functions(
    missing: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in missing:
        monkeypatch.delattr(os, name)
    monkeypatch.setattr(_shared_file, "FOLDER", str(tmp_path))
    batches = iter(DataLoader(Images(), 2, num_workers=2, timeout=SECONDS))
    assert next(batches)[1, 0, 0].item() == 1
    assert [batch[0, 0, 0].item() for batch in batches] == [2, 4, 6]
    assert list(tmp_path.iterdir()) == []


def test_errors_name_objects_that_cannot_be_pickled() -> None:
    class Local(Dataset[int]):
        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> int:
            return index

    loader = DataLoader(Local(), num_workers=1, multiprocessing_context="spawn")
    with pytest.raises(pickle.PicklingError, match=r"its dataset \(.*Local\) to its workers: .*or pass multiproc"):
        iter(loader)
    loader = DataLoader(range(4), num_workers=1, multiprocessing_context="spawn", collate_fn=lambda batch: batch)
    with pytest.raises(pickle.PicklingError, match=r"its collate_fn \(.*<lambda>\) to its workers"):
        iter(loader)
    assert list(DataLoader(Local(), num_workers=1))[3].item() == 3  # a forked worker needs no pickling


def test_a_script_without_a_main_guard_raises(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(
        "from flambeau.data import DataLoader\n"
        "for batch in DataLoader(range(4), num_workers=1, multiprocessing_context='spawn'):\n"
        "    print(batch)\n"
    )
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 1
    assert "its code must be protected by a guard" in done.stderr and "if __name__ == '__main__':" in done.stderr
    assert "DataLoader worker (pid" in done.stderr and "exited unexpectedly with exit code 1" in done.stderr


def test_memory_of_workers_does_not_grow() -> None:
    rows = np.zeros((256, 100_000 // 8), dtype=np.float64)

    def resident(worker: int) -> int:
        fields = Path(f"/proc/{worker}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGESIZE")

    loader = DataLoader(TensorDataset(rows), 8, num_workers=2, shuffle=True, persistent_workers=True, timeout=SECONDS)
    sizes = []
    for _ in range(10):
        for _ in loader:
            pass
        sizes.append([resident(process.pid) for process in loader._workers._processes])
    first, last = np.array(sizes[1]), np.array(sizes[-1])
    assert (last <= 1.05 * first).all(), sizes


def test_workers_forked_while_the_thread_pool_runs_compute_correctly(fb: Any) -> None:
    class Products(Dataset[Any]):
        def __len__(self) -> int:
            return 8

        def __getitem__(self, index: int) -> Any:
            x = fb.full((300, 300), float(index))
            return (x @ x)[0, 0]

    threads = fb.get_num_threads()
    fb.set_num_threads(4)
    try:
        x = fb.ones(300, 300)
        for _ in range(3):
            assert (x @ x)[0, 0].item() == 300  # the parent's thread pool is also in use
            corners = [batch.item() for batch in DataLoader(Products(), num_workers=2, timeout=SECONDS)]
            assert corners == [index * index * 300.0 for index in range(8)]
    finally:
        fb.set_num_threads(threads)
