"""Test processes that begin with NCCL: without the libraries, and started by mpiexec."""

import importlib.util
import os
import shutil
import subprocess
import sys

import pytest
from process import run

emulated = pytest.mark.skipif(
    "FLAMBEAU_CUDA_DRIVER" not in os.environ,
    reason="in a process of its own, which the emulated GPU makes quick",
)


@emulated
@pytest.mark.parametrize(
    ("missing", "text"), [("NCCL", "pip install nvidia-nccl-cu13"), ("CUDA_DRIVER", "CUDA is not available: ")]
)
def test_errors_name_missing_libraries(missing, text):
    code = f"""
os.environ["FLAMBEAU_{missing}"] = "none"
from flambeau import distributed as dist
store = dist.HashStore()
dist.PrefixStore("rendezvous 0", store).add("rank 1", 1)  # pretend that rank 1 is present
try:
    dist.init_process_group("nccl", store=store, rank=0, world_size=2)
except dist.DistBackendError as error:
    print(error)
print(dist.is_nccl_available(), dist.is_initialized())
"""
    message, state = run(code).split("\n")
    assert message.startswith("the backend 'nccl' needs a GPU and NCCL: ") and text in message
    assert state == "False False"


BY_MPIEXEC = """
import flambeau as fb
from flambeau import distributed as dist

dist.init_process_group("nccl")
fb.cuda.set_device(dist.get_rank())
x = fb.ones(2, device="cuda")
dist.all_reduce(x)
group = dist.new_group([1], backend="nccl")
if dist.get_rank() == 0:
    print(x.tolist())
dist.destroy_process_group()
"""


@emulated
def test_collectives_run_in_processes_started_by_mpiexec():
    mpiexec = shutil.which("mpiexec")
    if mpiexec is None or importlib.util.find_spec("mpi4py") is None:
        pytest.skip("mpi4py and mpiexec are not installed")
    done = subprocess.run(
        [mpiexec, "-n", "2", sys.executable, "-c", BY_MPIEXEC],
        env={**os.environ, "FLAMBEAU_EMULATED_DEVICES": "2"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "[2.0, 2.0]\n"), done.stderr
