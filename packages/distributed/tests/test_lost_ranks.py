"""Test that ranks raise errors if another rank ends or hangs while they wait for it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

pytest.importorskip("mpi4py")

from flambeau.distributed import _server

BEGIN = """
    import os, signal, sys, time
    import flambeau as fb
    from flambeau import distributed as dist

    dist.init_process_group("gloo")
    rank, x = dist.get_rank(), fb.ones(2)
    dist.all_reduce(x)
    print("ready", flush=True)
"""
WAIT = """
    try:
        dist.all_reduce(x)
        print("the collective is complete", flush=True)
    except dist.DistBackendError as error:
        print(error, flush=True)
"""
LAUNCHER = (sys.executable, "-m", "flambeau.distributed.run")
PATIENCE = 60  # timeout in seconds, enough for a busy machine; an undetected end would make ranks wait 30 minutes


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _file(folder, text):
    path = folder / "program.py"
    path.write_text(textwrap.dedent(text))
    return str(path)


class Processes:
    """Ranks that are started without the launcher."""

    def __init__(self, program, size, **variables):
        self.port = str(_free_port())
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": self.port, "WORLD_SIZE": str(size), **variables}
        self.ranks = [
            subprocess.Popen(
                [sys.executable, program],
                env={**os.environ, **place, "RANK": str(rank)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(size)
        ]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.ranks:
            process.kill()
        for process in self.ranks:
            process.communicate(timeout=PATIENCE)

    def ready(self):
        """Wait until each rank has printed that it is ready."""
        assert [process.stdout.readline() for process in self.ranks] == ["ready\n"] * len(self.ranks)

    def output(self, rank):
        """Wait until a rank ends, and return its output."""
        return self.ranks[rank].communicate(timeout=PATIENCE)[0]


def _wait_elsewhere(otherwise):
    """Return a program in which rank 2 runs the statement ``otherwise`` while the others wait for it."""
    return f"{BEGIN}\n    if rank == 2:\n        {otherwise}\n{WAIT}"


ENDS = {
    "os.kill(os.getpid(), signal.SIGKILL)": "rank 2 was ended by signal SIGKILL|rank 2 ended unexpectedly",
    "os._exit(3)": "rank 2 ended with exit code 3|rank 2 ended unexpectedly",
    "sys.exit(0)": "rank 2 ended",
    "raise ValueError('no more')": "rank 2 ended with ValueError: no more",
    "dist.destroy_process_group(); sys.exit()": "rank 2 destroyed its process group",
}


@pytest.mark.parametrize("end", ENDS)
def test_ranks_that_wait_for_one_that_has_ended_raise(end, tmp_path):
    with Processes(_file(tmp_path, _wait_elsewhere(end)), 3) as processes:
        for rank in range(2):
            text = processes.output(rank)
            assert f"all_reduce of rank {rank} cannot complete, because rank 2 " in text
            assert any(way in text for way in ENDS[end].split("|")), text


def test_a_wait_ends_soon_after_the_end_of_a_rank(tmp_path):
    program = _wait_elsewhere("time.sleep(1000)").replace("    try:", "    begin = time.monotonic()\n    try:")
    program += "    print(time.time(), flush=True)\n"
    with Processes(_file(tmp_path, program), 3) as processes:
        processes.ready()
        killed = time.time()
        processes.ranks[2].kill()
        took = [float(processes.output(rank).split()[-1]) - killed for rank in range(2)]
        assert max(took) < 30  # about 2 seconds on an idle machine


def test_a_stopped_rank_counts_as_lost(tmp_path):
    with Processes(_file(tmp_path, _wait_elsewhere("time.sleep(1000)")), 3) as processes:
        processes.ready()
        processes.ranks[2].send_signal(signal.SIGSTOP)
        for rank in range(2):
            assert "because rank 2 has not responded for " in processes.output(rank)


def test_without_heartbeats_a_stopped_rank_is_waited_for(tmp_path):
    program = _file(tmp_path, _wait_elsewhere("pass"))
    with Processes(program, 3, FLAMBEAU_HEARTBEAT_SECONDS="0") as processes:
        processes.ranks[2].send_signal(signal.SIGSTOP)
        time.sleep(6)
        processes.ranks[2].send_signal(signal.SIGCONT)
        assert all("the collective is complete" in processes.output(rank) for rank in range(3))


def test_delays_of_the_machine_do_not_hide_a_stopped_rank(monkeypatch):
    """Delay each heartbeat of rank 0 and each check by 2 seconds, while rank 1 is silent."""
    now = 100.0
    monkeypatch.setattr(_server.time, "monotonic", lambda: now)
    watched = _server.WatchedRanks()
    pairs = [socket.socketpair() for _ in range(2)]
    for rank, (connection, _) in enumerate(pairs):
        watched.join(rank, _server.Member(connection, ("elsewhere", 1), 4.0))
    reported = []
    while now < 130 and not reported:
        now += 2.0
        watched.beat(0)
        watched.check_silence()
        reported = [rank for rank, member in watched.members.items() if member.silent]
    assert reported == [1] and now > 110
    for pair in pairs:
        for each in pair:
            each.close()


def test_busy_ranks_count_as_alive(tmp_path):
    """Hold the GIL for longer than a rank may be silent."""
    busy = "import ctypes; ctypes.PyDLL(None).sleep(7)"
    with Processes(_file(tmp_path, _wait_elsewhere(busy)), 3) as processes:
        assert all("the collective is complete" in processes.output(rank) for rank in range(3))


def _servers(processes):
    """Yield the process ids of the servers that these ranks use (one is expected)."""
    variable = f"MASTER_PORT={processes.port}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # the process has ended, or belongs to another user
            program, variables = ((folder / name).read_bytes() for name in ("cmdline", "environ"))
            if b"distributed/_server.py" in program and variable in variables.split(b"\0"):
                yield int(folder.name)


def test_ranks_raise_after_the_end_of_the_server(tmp_path):
    with Processes(_file(tmp_path, _wait_elsewhere("time.sleep(1000)")), 3) as processes:
        processes.ready()
        (server,) = _servers(processes)
        os.kill(server, signal.SIGKILL)
        for rank in range(2):
            text = processes.output(rank)
            assert f"because the server of the store at 127.0.0.1:{processes.port}" in text
            assert "has closed its connection" in text


def test_a_busy_server_on_the_same_machine_counts_as_alive(tmp_path):
    with Processes(_file(tmp_path, _wait_elsewhere("time.sleep(8)")), 3) as processes:
        processes.ready()
        (server,) = _servers(processes)
        os.kill(server, signal.SIGSTOP)
        time.sleep(6)
        os.kill(server, signal.SIGCONT)
        assert all("the collective is complete" in processes.output(rank) for rank in range(3))


def test_groups_without_the_lost_rank_continue(tmp_path):
    program = (
        BEGIN
        + """
    pair = dist.new_group([0, 1])
    if rank == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(4)
    dist.all_reduce(x, group=pair)
    print(x.tolist(), flush=True)
    """
    )
    with Processes(_file(tmp_path, program), 3) as processes:
        assert all("[6.0, 6.0]" in processes.output(rank) for rank in range(2))


def test_messages_of_a_lost_rank_are_not_waited_for(tmp_path):
    program = (
        BEGIN
        + """
    if rank == 1:
        os._exit(5)
    try:
        dist.recv(x, 1)
    except dist.DistBackendError as error:
        print(error)
    """
    )
    with Processes(_file(tmp_path, program), 2) as processes:
        text = processes.output(0)
        assert "recv of rank 0 cannot complete, because rank 1 ended " in text


def test_messages_sent_before_the_end_of_a_rank_arrive(tmp_path):
    program = (
        BEGIN
        + """
    y = fb.full((1_000_000,), 3.0 + rank)
    if rank:
        time.sleep(3)
    dist.broadcast(y, 0)
    if rank == 0:
        dist.destroy_process_group()
        sys.exit()
    print(y.min().item(), y.max().item(), flush=True)
    """
    )
    with Processes(_file(tmp_path, program), 2) as processes:
        assert processes.output(1).splitlines()[-1] == "3.0 3.0"


def test_a_rank_blocked_in_mpi_exits(tmp_path):
    program = (
        BEGIN
        + """
    if rank == 1:
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGKILL)
    dist.new_group([0, 1])
    """
    )
    with Processes(_file(tmp_path, program), 2) as processes:
        _, text = processes.ranks[0].communicate(timeout=PATIENCE)
        assert processes.ranks[0].returncode == 70
        assert "rank 0 waits in new_group and cannot continue, because rank 1 " in text


def test_ranks_that_wait_for_the_start_of_a_lost_rank_raise(tmp_path):
    program = """
        import os, sys
        from flambeau import distributed as dist

        if os.environ["RANK"] == "1":
            sys.modules["mpi4py"] = None  # makes init_process_group fail
        dist.init_process_group("gloo")
    """
    with Processes(_file(tmp_path, program), 2) as processes:
        _, text = processes.ranks[0].communicate(timeout=PATIENCE)
        assert processes.ranks[0].returncode
        assert "but rank 1 failed in init_process_group with ImportError: " in text


def _nodes(program, port, *options):
    common = ["--nnodes=2", "--nproc-per-node=1", "--master-addr=127.0.0.1", f"--master-port={port}", *options]
    return [
        subprocess.Popen(
            [*LAUNCHER, *common, f"--node-rank={node}", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for node in range(2)
    ]


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "sys.exit(3)", "sys.exit(0)"])
@pytest.mark.parametrize("lost", [0, 1])
def test_a_failed_rank_ends_the_ranks_on_other_machines(end, lost, tmp_path):
    program = f"{BEGIN}\n    if rank == {lost}:\n        {end}\n    dist.barrier()\n"
    nodes = _nodes(_file(tmp_path, program), _free_port())
    output = [node.communicate(timeout=PATIENCE)[1] for node in nodes]
    assert f"because rank {lost} " in output[1 - lost] and nodes[1 - lost].returncode


@pytest.mark.parametrize("code", [0, 3])
def test_a_rank_that_fails_before_rendezvous_ends_ranks_on_other_machines(code, tmp_path):
    program = f"""
        import os, sys
        from flambeau import distributed as dist

        if os.environ["RANK"] == "1":
            dist.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))  # waits for rank 0
            sys.exit({code})
        dist.init_process_group("gloo")
    """
    nodes = _nodes(_file(tmp_path, program), _free_port())
    output = [node.communicate(timeout=PATIENCE)[1] for node in nodes]
    assert f"rank 0 waits in init_process_group for all 2 ranks, but rank 1 ended with exit code {code}" in output[0]


def test_ranks_end_with_the_launcher(tmp_path):
    # Write each line with one call, because both ranks write to the same pipe.
    program = _file(tmp_path, "import os, time\nos.write(1, b'%d\\n' % os.getpid())\ntime.sleep(1000)\n")
    launcher = subprocess.Popen([*LAUNCHER, "--nproc-per-node=2", program], stdout=subprocess.PIPE, text=True)
    started = [int(launcher.stdout.readline()) for _ in range(2)]
    launcher.kill()
    launcher.wait()
    with launcher.stdout:
        assert launcher.stdout.read() == ""  # returns when all processes have ended
    for process in started:
        _until_gone(process)


def _until_gone(process):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError(f"process {process} has not ended")
