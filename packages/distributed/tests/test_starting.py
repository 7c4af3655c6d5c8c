"""Test the ways to start processes, and how they find each other."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import flambeau as fb
from flambeau import distributed as dist, multiprocessing

PROGRAM = """
    import os, sys
    import flambeau as fb
    from flambeau import distributed as dist

    dist.init_process_group(*sys.argv[1:2])
    x = fb.ones(2) * (dist.get_rank() + 1)
    dist.all_reduce(x)
    print(f"rank {dist.get_rank()} of {dist.get_world_size()} has {x.tolist()}", flush=True)
"""
LAUNCHER = (sys.executable, "-m", "flambeau.distributed.run")
NAMES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def _file(folder, text=PROGRAM):
    path = folder / "program.py"
    path.write_text(textwrap.dedent(text))
    return str(path)


def _run(*command, timeout=60):
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment)


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _needs_mpi():
    pytest.importorskip("mpi4py")


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_launcher_starts_all_ranks(tmp_path, size):
    _needs_mpi()
    done = _run(*LAUNCHER, f"--nproc-per-node={size}", _file(tmp_path))
    assert done.returncode == 0, done.stderr
    total = float(sum(range(1, size + 1)))
    for rank in range(size):  # in any order
        assert done.stdout.count(f"rank {rank} of {size} has {[total, total]}") == 1
    assert not done.stderr


def test_the_launcher_joins_two_machines(tmp_path):
    _needs_mpi()
    port = _free_port()
    program, options = _file(tmp_path), ["--nnodes=2", "--nproc-per-node=1", "--master-addr=127.0.0.1"]
    nodes = [
        subprocess.Popen(
            [*LAUNCHER, *options, f"--master-port={port}", f"--node-rank={node}", program],
            stdout=subprocess.PIPE,
            text=True,
        )
        for node in range(2)
    ]
    output = [node.communicate(timeout=60)[0].strip() for node in nodes]
    assert output == ["rank 0 of 2 has [3.0, 3.0]", "rank 1 of 2 has [3.0, 3.0]"]


def test_programs_can_be_started_with_mpiexec(tmp_path):
    _needs_mpi()
    mpiexec = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if mpiexec is None:
        pytest.skip("there is no mpiexec")
    done = _run(mpiexec, "-n", "2", sys.executable, _file(tmp_path), "mpi")
    assert done.returncode == 0, done.stderr
    for rank in range(2):  # in any order
        assert done.stdout.count(f"rank {rank} of 2 has [3.0, 3.0]") == 1
    failing = PROGRAM + "    raise ValueError('no more') if dist.get_rank() else dist.barrier()\n"
    done = _run(mpiexec, "-n", "2", sys.executable, _file(tmp_path, failing))
    assert done.returncode and "ValueError: no more" in done.stderr


def test_the_launcher_ends_all_processes_if_one_fails(tmp_path):
    _needs_mpi()
    begin = time.monotonic()
    maps = "open('/proc/self/maps').read().splitlines()"
    failing = (
        PROGRAM
        + f"""
    found = any("/dev/shm/mpich" in line and not line.endswith("(deleted)") for line in {maps})
    print(f"memory {{found}}")
    raise ValueError("no more") if dist.get_rank() == 1 else dist.barrier()
    """
    )
    done = _run(*LAUNCHER, "--nproc-per-node=2", _file(tmp_path, failing))
    assert done.returncode == 1 and "ValueError: no more" in done.stderr
    assert "the process of local rank 1 ended with exit code 1, so the others were ended." in done.stderr
    assert "memory False" in done.stdout  # all files in /dev/shm are unlinked
    assert time.monotonic() - begin < 30


def test_failed_programs_are_restarted(tmp_path):
    program = """
        import os, sys
        attempt = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
        print(os.environ["RANK"], attempt, flush=True)
        sys.exit(3 if attempt == 0 and os.environ["LOCAL_RANK"] == "0" else 0)
    """
    done = _run(*LAUNCHER, "--nproc-per-node=1", "--max-restarts=1", _file(tmp_path, program))
    assert (
        done.returncode == 0
        and done.stdout.split() == ["0", "0", "0", "1"]
        and "Restarting all processes." in done.stderr
    )
    done = _run(*LAUNCHER, "--nproc-per-node=1", _file(tmp_path, program))
    assert done.returncode == 3


def test_the_launcher_sets_the_environment_and_redirects_output(tmp_path):
    program = """
        import os, sys
        names = "LOCAL_RANK LOCAL_WORLD_SIZE GROUP_RANK TORCHELASTIC_RUN_ID FLAMBEAU_NUM_THREADS".split()
        print(*(os.environ[name] for name in names), *sys.argv[1:])
    """
    logs = tmp_path / "logs"
    options = ("--nproc-per-node=2", "--log-dir", str(logs), "-r", "1", "--rdzv-id", "seven")
    done = _run(*LAUNCHER, *options, _file(tmp_path, program), "--data", "x")
    assert done.returncode == 0 and not done.stdout
    threads = os.environ.get("FLAMBEAU_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // 2)))
    for rank in range(2):
        output = (logs / "seven" / "attempt_0" / str(rank) / "stdout.log").read_text()
        assert output.split() == [str(rank), "2", "0", "seven", threads, "--data", "x"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--nproc-per-node=none", "x.py"], "--nproc-per-node should be a positive number, cpu, gpu or auto"),
        (["--nnodes=1:4", "x.py"], "--nnodes should be a positive number"),
        (["--node-rank=1", "x.py"], "--node-rank should be from 0 to 0"),
        (["--no-python", "flambeau-is-no-program"], "No such file or directory: 'flambeau-is-no-program'"),
        ([], "the following arguments are required: program"),
    ],
)
def test_the_launcher_rejects_invalid_arguments(options, text):
    done = _run(*LAUNCHER, *options)
    assert done.returncode and text in done.stderr and "Traceback" not in done.stderr


def test_the_launcher_terminates_its_processes(tmp_path):
    program = _file(tmp_path, "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(100)\n")
    launcher = subprocess.Popen([*LAUNCHER, program], stdout=subprocess.PIPE, text=True)
    started = int(launcher.stdout.readline())
    launcher.send_signal(signal.SIGTERM)
    assert launcher.wait(20) == 128 + signal.SIGTERM
    with launcher.stdout, pytest.raises(ProcessLookupError):
        os.kill(started, 0)


def _spawned(rank, size, method, report):
    dist.init_process_group("gloo", init_method=method, rank=rank, world_size=size)
    x = fb.tensor([rank + 1.0])
    dist.all_reduce(x)
    report.put((rank, x.item()))
    dist.destroy_process_group()


@pytest.mark.parametrize("kind", ["file", "tcp", "env"])
def test_spawned_processes_form_a_group(kind, tmp_path, monkeypatch):
    _needs_mpi()
    port = _free_port()
    method = {"file": f"file://{tmp_path}/meeting", "tcp": f"tcp://localhost:{port}", "env": "env://"}[kind]
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("MASTER_PORT", str(port))
    report = multiprocessing.get_context("spawn").SimpleQueue()
    multiprocessing.spawn(_spawned, (2, method, report), nprocs=2)
    assert sorted(report.get() for _ in range(2)) == [(0, 3.0), (1, 3.0)]
    assert not (tmp_path / "meeting").exists()


def _failing(rank, size, method):
    dist.init_process_group("gloo", init_method=method, rank=rank, world_size=size)
    if rank:
        raise ValueError("no more")
    dist.barrier()


def test_a_spawned_process_that_fails_ends_the_others(tmp_path):
    _needs_mpi()
    begin = time.monotonic()
    with pytest.raises(multiprocessing.ProcessRaisedException, match="no more"):
        multiprocessing.spawn(_failing, (2, f"file://{tmp_path}/meeting"), nprocs=2)
    assert time.monotonic() - begin < 30


def test_init_process_group_without_mpi4py_names_the_package(tmp_path):
    program = """
        import sys
        sys.modules["mpi4py"] = None
        import flambeau as fb
        from flambeau import distributed as dist

        assert not dist.is_mpi_available() and not dist.is_gloo_available() and dist.is_available()
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
        dist.all_reduce(fb.ones(2))
        dist.destroy_process_group()
        store = dist.HashStore()
        dist.PrefixStore("rendezvous 0", store).add("rank 1", 1)  # pretend that rank 1 is present
        try:
            dist.init_process_group("gloo", store=store, rank=0, world_size=2)
        except ImportError as error:
            print(error)
    """
    done = _run(sys.executable, _file(tmp_path, program))
    assert done.returncode == 0, done.stderr
    assert 'pip install "flambeau-distributed[mpi]"' in done.stdout


def test_init_process_group_with_an_unsuitable_mpi_library_raises(tmp_path):
    _needs_mpi()
    text = """
        from flambeau import distributed as dist
        from flambeau.distributed import _mpi_start

        _mpi_start._LIBRARIES_WITH_PMI = ("Other MPI",)
        store = dist.HashStore()
        dist.PrefixStore("rendezvous 0", store).add("rank 1", 1)  # pretend that rank 1 is present
        try:
            dist.init_process_group(store=store, rank=0, world_size=2)
        except dist.DistBackendError as error:
            print(error)
    """
    done = _run(sys.executable, _file(tmp_path, text))
    assert "cannot connect processes that mpiexec did not start: pip install mpich" in done.stdout, done.stderr


def test_init_process_group_can_be_called_again(tmp_path):
    _needs_mpi()
    program = (
        PROGRAM
        + """
    dist.destroy_process_group()
    dist.init_process_group()
    dist.all_reduce(x)
    print(f"again {x.tolist()}")
    """
    )
    done = _run(*LAUNCHER, "--nproc-per-node=2", _file(tmp_path, program))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("again [6.0, 6.0]") == 2
