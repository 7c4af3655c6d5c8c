"""Tests of collectives on several GPUs. The emulator provides two GPUs in separate processes."""

import os
import re

import pytest
from process import run

import flambeau as fb

nccl = fb.cuda.nccl
several = pytest.mark.skipif(
    "FLAMBEAU_CUDA_DRIVER" not in os.environ, reason="several GPUs are emulated in processes of their own"
)
installed = pytest.mark.skipif(not fb._core._cuda_nccl_version(), reason="NCCL is not installed")

SETUP = """
nccl = fb.cuda.nccl
def each(values, dtype=None):
    return [fb.tensor(v, dtype=dtype, device=f"cuda:{i}") for i, v in enumerate(values)]
"""


def lines(code, **environment):
    return run(SETUP + code, FLAMBEAU_EMULATED_DEVICES=2, **environment).split("\n")


@installed
def test_nccl_collectives_work_with_one_gpu():
    x = fb.arange(4.0, device="cuda")
    out = fb.empty_like(x)
    nccl.all_reduce([x], [out])
    assert fb.equal(x, out) and nccl.is_available([x]) and nccl.version() >= (2, 0, 0)
    before = x._version
    nccl.broadcast([x])
    assert x._version == before + 1


@installed
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: nccl.all_reduce(x), TypeError, "sequence of tensors"),
        (lambda x: nccl.all_reduce([1]), TypeError, "but got int"),
        (lambda x: nccl.all_reduce([]), ValueError, "empty"),
        (lambda x: nccl.all_reduce([x.cpu()]), RuntimeError, "on the CPU"),
        (lambda x: nccl.all_reduce([x.mT]), RuntimeError, "not contiguous"),
        (lambda x: nccl.all_reduce([x, x]), ValueError, "different GPUs"),
        (lambda x: nccl.all_reduce([x], [x[0]]), RuntimeError, "3 elements does not fit an input of 6"),
        (lambda x: nccl.all_reduce([x], [x.int()]), RuntimeError, "int32 on cuda:0 does not fit"),
        (lambda x: nccl.all_reduce([x], op=7), ValueError, "SUM, PROD"),
        (lambda x: nccl.all_reduce([x], streams=[]), ValueError, "0 streams for 1 inputs"),
        (
            lambda x: nccl.broadcast([x], root=1),
            ValueError,
            "root must be at least 0 and less than the number of ranks, 1",
        ),
        (lambda x: nccl.all_reduce([x.to(fb.complex64)]), TypeError, "complex64"),
        (lambda x: nccl.init_rank(2, nccl.unique_id(), 2), ValueError, "rank must be at least 0"),
        (lambda x: nccl.init_rank(2, b"short", 0), ValueError, "128"),
        (lambda x: nccl.init_rank(2, "text", 0), TypeError, "bytes"),
    ],
)
def test_invalid_calls_raise(call, error, message):
    with pytest.raises(error, match=message):
        call(fb.ones(2, 3, device="cuda"))


@several
def test_nccl_collectives_combine_the_tensors_of_two_gpus():
    code = """
x = each([[1.0, 2.0], [10.0, 20.0]])
out = [fb.empty_like(t) for t in x]
nccl.all_reduce(x, out)
print([t.tolist() for t in out])
nccl.all_reduce(x, out, op=nccl.MAX)
print([t.tolist() for t in out])
nccl.reduce(x, out[1], root=1, op=nccl.PROD)
print([t.tolist() for t in out])
all = [fb.empty(4, device=t.device) for t in x]
nccl.all_gather(x, all)
print([t.tolist() for t in all])
part = [fb.empty(1, device=t.device) for t in x]
nccl.reduce_scatter(x, part, op=nccl.AVG)
print([t.tolist() for t in part])
nccl.broadcast(x, root=1)
print([t.tolist() for t in x])
print(nccl.is_available(x), nccl.is_available([x[0], x[0]]), nccl.version())
"""
    assert lines(code) == [
        "[[11.0, 22.0], [11.0, 22.0]]",
        "[[10.0, 20.0], [10.0, 20.0]]",
        "[[10.0, 20.0], [10.0, 40.0]]",
        "[[1.0, 2.0, 10.0, 20.0], [1.0, 2.0, 10.0, 20.0]]",
        "[[5.5], [11.0]]",
        "[[10.0, 20.0], [10.0, 20.0]]",
        "True False (2, 27, 3)",
    ]


@several
@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16", "int64", "int32", "uint8", "int8", "bool"])
def test_nccl_all_reduce_supports_every_dtype(dtype):
    code = f"x = each([[1, 0, 1], [0, 0, 1]], fb.{dtype})\nnccl.all_reduce(x, op=nccl.MAX)\n"
    assert lines(code + "print([t.int().tolist() for t in x])") == ["[[1, 0, 1], [1, 0, 1]]"]


@several
def test_nccl_sums_of_booleans_are_booleans():
    code = """
x = each([[True, False, True], [True, False, False]])
out = [fb.empty_like(t) for t in x]
for op in (nccl.SUM, nccl.MAX, nccl.PROD):
    nccl.all_reduce(x, out, op=op)
    print([t.view(fb.uint8).tolist() for t in out])
"""
    assert lines(code) == ["[[1, 0, 1], [1, 0, 1]]"] * 2 + ["[[1, 0, 0], [1, 0, 0]]"]


@several
def test_ranks_can_join_a_communicator_in_separate_threads():
    """Test ranks that join a communicator in separate threads and each call the collective for their own GPU."""
    code = """
import threading
uid, results = nccl.unique_id(), {}
def work(rank):
    fb.cuda.set_device(rank)
    comm = nccl.init_rank(2, uid, rank)
    stream = fb.cuda.Stream(rank)
    with fb.cuda.stream(stream):
        x = fb.full((3,), float(rank + 1), device=f"cuda:{rank}")
    nccl.all_reduce([x], streams=[stream], comms=[comm])
    stream.synchronize()
    barrier.wait()
    results[rank] = x.tolist()
barrier = threading.Barrier(2)
threads = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
[t.start() for t in threads], [t.join() for t in threads]
print(results[0], results[1])
"""
    assert lines(code) == ["[3.0, 3.0, 3.0] [3.0, 3.0, 3.0]"]


@several
def test_a_missing_nccl_library_raises():
    code = """
for call in (nccl.version, nccl.unique_id, lambda: nccl.all_reduce(each([[1.0], [2.0]]))):
    try:
        call()
    except RuntimeError as error:
        print("pip install nvidia-nccl" in str(error))
print(nccl.is_available(each([[1.0], [2.0]])))
"""
    assert lines(code, FLAMBEAU_NCCL="none") == ["True", "True", "True", "False"]
    code = """
fail("ncclAllReduce", 5)
try:
    nccl.all_reduce(each([[1.0], [2.0]]))
except RuntimeError as error:
    print(error)
"""
    assert lines(code) == ["NCCL error while enqueuing a collective operation: invalid usage (5)"]


@several
def test_all_communicators_of_a_process_are_destroyed_together():
    code = """
import sys
sys.unraisablehook = lambda problem: print(problem.exc_value, flush=True)
import threading
uid, comms = nccl.unique_id(), [None, None]
def join(rank):
    fb.cuda.set_device(rank)
    comms[rank] = nccl.init_rank(2, uid, rank)
threads = [threading.Thread(target=join, args=(rank,)) for rank in range(2)]
[t.start() for t in threads], [t.join() for t in threads]
x = each([[1.0], [2.0]])
nccl.all_reduce(x, comms=comms)
child = os.fork()
if child == 0:
    comms.clear()
    print("child", flush=True)
    os._exit(0)
os.waitpid(child, 0)
groups = counts("ncclGroupStart")
del comms[0]
print(counts("ncclCommDestroy"), counts("ncclGroupStart") - groups)
comms.clear()
print(counts("ncclCommDestroy"), counts("ncclGroupStart") - groups, [t.item() for t in x])
"""
    assert lines(code) == ["child", "0 0", "2 1 [3.0, 3.0]"]


@several
def test_a_collective_that_fails_leaves_no_group_open():
    code = """
x = each([[1.0], [2.0]])
for after in (1, 2, 3):
    fail("cuCtxSetCurrent", 999, after)
    try:
        nccl.all_reduce(x)
    except RuntimeError as error:
        print(str(error).partition(":")[0])
nccl.all_reduce(x)
print([t.item() for t in x])
"""
    assert lines(code) == ["CUDA error while selecting a GPU"] * 3 + ["[3.0, 3.0]"]


COMMUNICATORS = """
import threading
from flambeau.cuda import nccl
def communicators(devices=(0, 1)):
    uid, made, errors = nccl.unique_id(), [None, None], []
    def join(rank):
        fb.cuda.set_device(devices[rank])
        try:
            made[rank] = nccl.init_rank(2, uid, rank)
        except RuntimeError as error:
            errors.append(str(error))
    threads = [threading.Thread(target=join, args=(rank,)) for rank in range(2)]
    [t.start() for t in threads], [t.join() for t in threads]
    print(*sorted(errors), sep=chr(10), end="")
    return made
def exchange(rank, sent=(), received=()):
    at = comms[rank].device
    fb.cuda.set_device(at)
    (given, to), (got, source) = (zip(*each) if each else ((), ()) for each in (sent, received))
    stream = fb.cuda.current_stream(at).cuda_stream
    fb._core._cuda_nccl_exchange(given, to, got, source, stream, comms[rank].handle)
def outcome(call):
    try:
        return call()
    except RuntimeError as error:
        return str(error)
comms = communicators()
"""


def of_communicators(code, **environment):
    return lines(COMMUNICATORS + code, **environment)


@several
@pytest.mark.parametrize("deferred", [0, 1])
def test_nccl_messages_of_one_call_stay_in_order_and_do_not_block_each_other(deferred):
    """Test that messages of one call do not block each other, stay in order, and can go to the sender itself."""
    code = """
x = each([[1.0, 2.0], [10.0, 20.0]])
y = [fb.zeros(3, 2, device=f"cuda:{rank}") for rank in range(2)]
for rank in range(2):
    other = 1 - rank
    sent = [(x[rank], other), (x[rank] + 1, other), (x[rank], rank)]
    exchange(rank, sent, [(y[rank][0], other), (y[rank][1], other), (y[rank][2], rank)])
print([t.tolist() for t in y])
before = y[0]._version
exchange(0, [(fb.empty(0, device="cuda:0"), 1)])
exchange(1, [(x[1].to(fb.complex64), 0)])
z = fb.empty(2, dtype=fb.complex64, device="cuda:0")
exchange(0, received=[(z, 1)])
print(z.tolist(), z._version, y[0]._version - before)
"""
    assert of_communicators(code, FLAMBEAU_EMULATED_DEFERRED=deferred) == [
        "[[[10.0, 20.0], [11.0, 21.0], [1.0, 2.0]], [[1.0, 2.0], [2.0, 3.0], [10.0, 20.0]]]",
        "[(10+0j), (20+0j)] 1 0",
    ]


@several
@pytest.mark.parametrize(
    ("code", "text"),
    [
        (
            "exchange(0, [(x[0], 1)])\nexchange(1, received=[(x[1][:1], 0)])",
            "asks for Send of 4 .* rank 0 for Send of 8",
        ),
        (
            "nccl.all_reduce(x[:1], comms=comms[:1])\nnccl.all_reduce([x[1][:1]], comms=comms[1:])",
            "asks for AllReduce of 1 .* rank 0 for AllReduce of 2",
        ),
        (
            "nccl.all_reduce(x[:1], comms=comms[:1])\nnccl.broadcast(x[1:], comms=comms[1:])",
            "asks for Broadcast of 2 .* rank 0 for AllReduce of 2",
        ),
        ("exchange(0, [(x[0], 1)])\nexchange(1, [(x[1], 0)])", "work waits for what never comes"),
    ],
)
def test_mismatched_nccl_collectives_are_reported(code, text):
    """Test that the emulated GPU reports mismatched collectives after a timeout. NCCL would hang or corrupt memory."""
    code = "x = each([[1.0, 2.0], [10.0, 20.0]])\n" + code
    code += "\nprint(outcome(x[1].tolist))\nemulator.emulated_message.restype = ctypes.c_char_p"
    found = of_communicators(code + "\nprint(emulator.emulated_message().decode())", FLAMBEAU_EMULATED_TIMEOUT=1)
    assert "CUDA error" in found[0]
    assert re.search(text, found[-1])


@several
def test_errors_of_nccl_raise():
    code = """
print(outcome(lambda: communicators((0, 0))))
x = each([[1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 30.0, 40.0]])
print(outcome(lambda: exchange(0, [(x[0], 2)])))
print(outcome(lambda: nccl.all_gather([x[0][1:3]], [x[0]], comms=comms[:1])))
nccl.all_gather([x[0][:2], x[1][2:]], x, comms=comms)
print([t.tolist() for t in x])
"""
    rejected = "NCCL error while creating a communicator: invalid usage (5)"
    assert of_communicators(code) == [
        rejected,
        rejected + "[None, None]",
        "NCCL error while enqueuing point-to-point communication: invalid argument (4)",
        "NCCL error while enqueuing a collective operation: invalid argument (4)",
        "[[1.0, 2.0, 30.0, 40.0], [1.0, 2.0, 30.0, 40.0]]",
    ]


@several
def test_a_collective_runs_on_its_stream():
    """Test that a collective blocks its stream, but not the thread of the rank that calls first."""
    code = """
x = each([[1.0], [2.0]])
fb.cuda.set_device(0)
nccl.all_reduce(x[:1], comms=comms[:1])
y = x[0] * 10
print(fb.cuda.current_stream(0).query())
fb.cuda.set_device(1)
nccl.all_reduce(x[1:], comms=comms[1:])
print(y.tolist(), x[1].tolist())
"""
    assert of_communicators(code) == ["False", "[30.0] [3.0]"]
