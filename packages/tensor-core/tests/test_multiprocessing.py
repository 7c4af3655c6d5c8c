"""Tests of memory shared between processes: visible changes, and the release of all resources."""

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import flambeau as fb
import flambeau.multiprocessing as mp


def open_files():
    return len(os.listdir("/proc/self/fd"))


def in_child(function):
    """Run a function in a forked process, and fail if it raises an exception."""
    child = os.fork()
    if child == 0:
        try:
            function()
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


# --- shared storages ---


@pytest.mark.parametrize("dtype", [fb.bool, fb.bfloat16, fb.int64, fb.complex128])
def test_a_forked_process_sees_and_makes_changes(dtype):
    x = fb.zeros(2, 3, dtype=dtype)
    row = x[1]
    assert not x.is_shared()
    assert x.share_memory_() is x
    assert x.is_shared()
    assert row.is_shared()
    in_child(lambda: row.fill_(1))
    assert x.tolist() == [[0, 0, 0], [1, 1, 1]]
    x.fill_(0)
    assert not row.any()


def test_views_follow_the_storage_to_shared_memory():
    x = fb.arange(6)
    view, storage, before = x[2:4], x.untyped_storage(), x.data_ptr()
    storage.share_memory_()
    assert storage.is_shared()
    assert x.storage().is_shared()
    assert x.data_ptr() != before
    view.fill_(9)
    assert x.tolist() == [0, 1, 9, 9, 4, 5]
    address = x.data_ptr()
    x.share_memory_()
    assert x.data_ptr() == address


def test_arrays_made_before_share_memory_keep_their_memory():
    x = fb.ones(1000)
    array, base = x.numpy(), np.ones(1000)
    borrowed = fb.from_numpy(base)
    x.share_memory_()
    borrowed.share_memory_()
    x.fill_(2)
    borrowed.fill_(2)
    assert array.sum() == base.sum() == 1000
    assert x.numpy().sum() == borrowed.numpy().sum() == 2000
    del x, borrowed
    gc.collect()
    assert array.sum() == 1000


def test_empty_tensors_can_be_sent_to_processes():
    assert fb.empty(0, 3).share_memory_().shape == (0, 3)


def test_file_descriptors_are_closed_with_the_shared_memory():
    before = open_files()
    for _ in range(50):
        fb.ones(10).share_memory_()
    assert open_files() == before


def test_invalid_file_descriptors_are_rejected():
    with pytest.raises(RuntimeError, match="shared memory of 4 bytes: reading its size failed: Bad file descriptor"):
        fb._core._from_shared(-1, 4)
    x = fb.ones(2).share_memory_()
    with pytest.raises(
        RuntimeError, match="shared memory of 9 bytes: the number of bytes behind the file descriptor is only 8"
    ):
        fb._core._from_shared(fb._core._shared_descriptor(x), 9)
    with pytest.raises(ValueError, match="1099511627776 is not a valid file descriptor"):
        fb._core._from_shared(2**40, 1)
    with pytest.raises(ValueError, match="must not be negative"):
        fb._core._from_shared(0, -1)


def test_running_out_of_file_descriptors_raises():
    program = """
        import resource, flambeau
        held = [flambeau.ones(1)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
        try:
            for _ in range(60):
                held.append(flambeau.ones(1).share_memory_())
        except RuntimeError as error:
            print(error)
        fresh = flambeau.ones(1)
        try:
            fresh.share_memory_()
        except RuntimeError:
            print(fresh.tolist(), fresh.is_shared())
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=600
    )
    assert "memfd_create failed: Too many open files (each shared storage uses a file descriptor" in result.stdout
    assert result.stdout.endswith("[1.0] False\n")


# --- sending tensors ---


# A program that its processes import. It runs as a file, because a test module cannot be imported by name.
PROGRAM = """
import sys
import flambeau as fb
import flambeau.multiprocessing as mp

def double(tensors, done):
    for tensor in tensors:
        tensor.mul_(2)
    done.put("doubled")

def answer(questions, answers):
    for question in iter(questions.get, None):
        answers.put([question, question.t(), question.sum()])
    questions.get()  # live until all was taken

def add_index(index, tensor):
    tensor[index] += index

def check_arguments(context):
    tensors = [fb.arange(6.0).reshape(2, 3).share_memory_(), fb.ones(2, dtype=fb.bfloat16).share_memory_()]
    done = context.Queue()
    process = context.Process(target=double, args=(tensors, done))
    process.start()
    assert done.get(timeout=600) == "doubled"
    process.join()
    assert process.exitcode == 0
    assert tensors[0].tolist() == [[0, 2, 4], [6, 8, 10]]
    assert tensors[1].tolist() == [2, 2]

def check_queues(context):
    questions, answers = context.Queue(), context.Queue()
    process = context.Process(target=answer, args=(questions, answers))
    process.start()
    sent = fb.arange(6).reshape(2, 3)
    questions.put(sent)
    again, transposed, total = answers.get(timeout=600)
    questions.put(None)
    questions.put(None)
    process.join()
    assert sent.is_shared()
    assert transposed.stride() == (1, 3)
    assert total.item() == 15
    again.zero_()
    assert not sent.any()
    assert not transposed.any()

def check_spawn(context):
    tensor = fb.zeros(3, dtype=fb.int64).share_memory_()
    assert mp.spawn(add_index, args=(tensor,), nprocs=3, start_method=context.get_start_method()) is None
    assert tensor.tolist() == [0, 1, 2]

if __name__ == "__main__":
    globals()[sys.argv[1]](mp.get_context(sys.argv[2]))
    print("passed")
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("check", ["check_arguments", "check_queues", "check_spawn"])
def test_tensors_in_other_processes_share_memory(tmp_path, check, method):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    command = [sys.executable, "-W", "error", str(path), check, method]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert (result.stdout, result.stderr, result.returncode) == ("passed\n", "", 0)


def test_sent_objects_keep_their_type():
    queue = mp.get_context("fork").SimpleQueue()
    marked = fb.ones(2)
    marked.tag = "kept"
    for value in (marked, fb.empty(0, 3), fb.arange(12).reshape(3, 4)[1:, ::2], fb.ones(2).untyped_storage()):
        queue.put(value)
        received = queue.get()
        assert type(received) is type(value)
        assert received.tolist() == value.tolist()
        assert getattr(received, "tag", None) == getattr(value, "tag", None)
        assert received.is_shared() or not value.nbytes
    queue.put((fb.float16, fb.Size([1]), fb.device("cpu")))
    assert queue.get() == (fb.float16, fb.Size([1]), fb.device("cpu"))


def test_sending_a_non_leaf_tensor_raises():
    pytest.importorskip("flambeau.autograd")
    queue = mp.get_context("fork").SimpleQueue()
    leaf = fb.ones(2, requires_grad=True)
    queue.put(leaf)
    assert queue.get().requires_grad
    with pytest.raises(RuntimeError, match="Cowardly refusing to serialize non-leaf tensor which requires_grad"):
        queue.put(leaf * 2)


def test_sharing_strategies_can_be_set_by_name():
    assert mp.get_sharing_strategy() == "file_descriptor"
    try:
        for name in mp.get_all_sharing_strategies():
            mp.set_sharing_strategy(name)
            assert mp.get_sharing_strategy() == name
        with pytest.raises(ValueError, match="expected 'file_descriptor' or 'file_system', got 'file'"):
            mp.set_sharing_strategy("file")
    finally:
        mp.set_sharing_strategy("file_descriptor")


def test_the_module_has_the_names_of_multiprocessing():
    for name in multiprocessing.__all__:
        assert hasattr(mp, name)


# --- functions in several processes ---


def add_index(index, tensor):
    tensor[index] += index


def fail(index, tensor):
    if index == 1:
        raise KeyError(f"number {index}")
    time.sleep(600)


def leave(index, code):
    if code < 0:
        os.kill(os.getpid(), -code)
    sys.exit(code)


def test_start_processes_with_join_false_returns_at_once():
    tensor = fb.zeros(2, dtype=fb.int64).share_memory_()
    started = mp.start_processes(add_index, args=(tensor,), nprocs=2, join=False, start_method="fork")
    assert len(started.pids()) == 2
    while not started.join(timeout=600):
        pass
    assert started.join()
    assert tensor.tolist() == [0, 1]


def test_spawn_ends_all_processes_if_one_raises():
    with pytest.raises(
        mp.ProcessRaisedException, match=r"-- Process 1 terminated .*(?s:.)*KeyError: 'number 1'"
    ) as caught:
        mp.start_processes(fail, args=(fb.zeros(1),), nprocs=3, start_method="fork")
    assert caught.value.error_index == 1


@pytest.mark.parametrize(
    ("code", "message"),
    [(3, "exit code 3"), (-9, "signal SIGKILL")],
)
def test_spawn_reports_a_process_that_exits(code, message):
    with pytest.raises(mp.ProcessExitedException, match=f"process 0 terminated with {message}") as caught:
        mp.start_processes(leave, args=(code,), start_method="fork")
    assert caught.value.exit_code == code
    assert caught.value.signal_name == (signal.Signals(-code).name if code < 0 else None)


# --- resources that must not remain ---


@pytest.mark.parametrize(
    "ending", ["pass", "raise SystemExit(3)", "os.kill(os.getpid(), signal.SIGKILL)", "os._exit(0)"]
)
def test_no_shared_memory_is_left_after_exit(ending):
    program = f"""
        import os, signal
        import flambeau, flambeau.multiprocessing as mp
        tensors = [flambeau.ones(1_000_000).share_memory_() for _ in range(5)]
        queue = mp.get_context("fork").SimpleQueue()
        queue.put(tensors[0])
        received = queue.get()
        {ending}
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stderr=subprocess.DEVNULL)
    process.wait(600)
    assert [name for name in os.listdir("/dev/shm") if name.startswith(f"flambeau-{process.pid}-")] == []
