"""Tests with tensors on several GPUs. The emulator provides two GPUs in separate processes."""

import os

import pytest
from process import run

import flambeau as fb
from flambeau.cuda import comm
from flambeau.testing import assert_close

several = pytest.mark.skipif(
    "FLAMBEAU_CUDA_DRIVER" not in os.environ, reason="several GPUs are emulated in processes of their own"
)

SETUP = """
import warnings
from flambeau.cuda import comm
def places(tensors):
    return [(t.get_device(), t.tolist()) for t in tensors]
"""


def on_two(code, **environment):
    return run(SETUP + code, FLAMBEAU_EMULATED_DEVICES=2, **environment)


def test_comm_functions_work_with_one_gpu():
    x = fb.arange(6.0).reshape(2, 3)
    (copy,) = comm.broadcast(x, [0])
    assert copy.is_cuda and fb.equal(copy.cpu(), x) and comm.broadcast(copy, ["cuda:0"])[0] is copy
    out = fb.empty(2, 3, device="cuda")
    assert comm.broadcast(x, out=[out]) == (out,) and fb.equal(out.cpu(), x)
    assert comm.reduce_add([copy]) is copy and comm.reduce_add_coalesced([[copy, out]])[1].equal(out)
    assert [t.tolist() for t in comm.scatter(x, [0], dim=1)] == [x.tolist()]
    assert comm.gather([copy, out], 1, "cpu").shape == (2, 6) and comm.gather([copy]).is_cuda
    assert comm.broadcast_coalesced([copy], [0])[0][0] is copy


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: comm.broadcast(x), RuntimeError, "Exactly one of 'devices' and 'out'"),
        (lambda x: comm.broadcast(x, [0], out=[x]), RuntimeError, "Exactly one of 'devices' and 'out'"),
        (lambda x: comm.broadcast(x, out=[x[0]]), RuntimeError, r"index 0 is of shape \[3\]"),
        (lambda x: comm.broadcast(x, out=[x.cpu()]), RuntimeError, "on cpu"),
        (lambda x: comm.broadcast(x, [99]), RuntimeError, "no GPU 99"),
        (lambda x: comm.broadcast_coalesced([x.cpu()], [0]), RuntimeError, r"must be on devices\[0\]"),
        (lambda x: comm.reduce_add([x.cpu()]), AssertionError, "input 0 is on CPU"),
        (lambda x: comm.reduce_add([x, x[0]]), ValueError, "got 3, but expected 2x3"),
        (lambda x: comm.scatter(x, [0], out=[x]), RuntimeError, "'devices' must not be specified"),
        (lambda x: comm.scatter(x, chunk_sizes=[2], out=[x]), RuntimeError, "'chunk_sizes' must not be specified"),
        (lambda x: comm.scatter(x, [0], [1, 1]), RuntimeError, "same length"),
        (lambda x: comm.gather([x], destination=0, out=x), RuntimeError, "'destination' must not be specified"),
    ],
)
def test_comm_functions_reject_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call(fb.ones(2, 3, device="cuda"))


@several
@pytest.mark.parametrize("nccl", ["", "none"])
def test_reduce_add_on_two_gpus_puts_the_sum_on_the_destination(nccl):
    environment = {"FLAMBEAU_NCCL": nccl} if nccl else {}
    printed = on_two(
        """
x, y = fb.arange(4.0, device="cuda:0"), fb.ones(4, device="cuda:1")
print(places([comm.reduce_add([x, y]), comm.reduce_add([x, y], 1), comm.reduce_add([x, y], "cuda:1")]))
print(places([x, y]))
inputs = [[fb.full((2,), i + 1.0, device=f"cuda:{i}"), fb.full((1, 2), 10 ** i, device=f"cuda:{i}"),
           fb.full((3,), 0.5, device=f"cuda:{i}")] for i in range(2)]
for size in (1, 10 ** 6):
    print(places(comm.reduce_add_coalesced(inputs, 1, size)))
try:
    comm.reduce_add([y], 0)
except RuntimeError as error:
    print(error)
""",
        **environment,
    )
    sums = "[(1, [3.0, 3.0]), (1, [[11, 11]]), (1, [1.0, 1.0, 1.0])]"
    assert printed.split("\n") == [
        "[(0, [1.0, 2.0, 3.0, 4.0]), (1, [1.0, 2.0, 3.0, 4.0]), (1, [1.0, 2.0, 3.0, 4.0])]",
        "[(0, [0.0, 1.0, 2.0, 3.0]), (1, [1.0, 1.0, 1.0, 1.0])]",
        sums,
        sums,
        "reduce_add expects destination to be on the same GPU with one of the tensors",
    ]


@several
def test_broadcast_copies_a_tensor_to_two_gpus():
    printed = on_two("""
x = fb.arange(4, device="cuda:1")
copies = comm.broadcast(x, [0, 1])
print(places(copies), copies[1] is x)
outs = [fb.empty(4, dtype=x.dtype, device=f"cuda:{i}") for i in range(2)]
print(places(comm.broadcast(fb.arange(4), out=outs)))
small = [x, fb.ones(2, 2, device="cuda:1"), x + 1, fb.zeros(3, device="cuda:1"), x]
for size in (1, 40, 10 ** 6):
    made = comm.broadcast_coalesced(small, [1, 0], size)
    assert all(a is b for a, b in zip(made[0], small))
    print(places(made[1]) == [(0, t.tolist()) for t in small], [tuple(t.shape) for t in made[1]])
""")
    shapes = "True [(4,), (2, 2), (4,), (3,), (4,)]"
    assert printed.split("\n") == [
        "[(0, [0, 1, 2, 3]), (1, [0, 1, 2, 3])] True",
        "[(0, [0, 1, 2, 3]), (1, [0, 1, 2, 3])]",
        shapes,
        shapes,
        shapes,
    ]


@several
def test_gather_inverts_scatter_on_two_gpus():
    printed = on_two("""
x = fb.arange(10).reshape(2, 5)
print(places(comm.scatter(x, [1, 0])))
print(places(comm.scatter(x, [0, 1], [1, 4], 1)))
streams = [fb.cuda.Stream(0), None]
parts = comm.scatter(x.cuda(0), [0, 1], dim=-1, streams=streams)
streams[0].synchronize()
print(places(parts), fb.cuda.current_stream(0).cuda_stream, fb.cuda.current_device())
outs = [fb.empty(2, n, dtype=x.dtype, device=f"cuda:{i}") for i, n in enumerate((2, 3))]
print(places(comm.scatter(x, out=outs, dim=1)))
print(places([comm.gather(outs, 1, 1), comm.gather(outs, 1), comm.gather(outs, 1, fb.device("cpu"))]))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    print(comm.gather(outs, 1, -1).device, caught[0].category.__name__)
whole = fb.empty(2, 5, dtype=x.dtype, device="cuda:1")
print(comm.gather(outs, 1, out=whole) is whole, fb.equal(whole.cpu(), x))
""")
    rows = "[[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]"
    halves = "[(0, [[0, 1], [5, 6]]), (1, [[2, 3, 4], [7, 8, 9]])]"
    assert printed.split("\n") == [
        "[(1, [[0, 1, 2, 3, 4]]), (0, [[5, 6, 7, 8, 9]])]",
        "[(0, [[0], [5]]), (1, [[1, 2, 3, 4], [6, 7, 8, 9]])]",
        "[(0, [[0, 1, 2], [5, 6, 7]]), (1, [[3, 4], [8, 9]])] 0 0",
        halves,
        f"[(1, {rows}), (0, {rows}), (-1, {rows})]",
        "cpu FutureWarning",
        "True True",
    ]


def test_gradients_pass_through_copies():
    pytest.importorskip("flambeau.autograd")
    x = fb.ones(2, 3, requires_grad=True)
    comm.gather(comm.scatter(x, [0], dim=1), 1, "cpu").sum().backward()
    assert_close(x.grad, fb.ones(2, 3))
