"""Tests of the destinations of files: interrupted saves, full disks, links, pipes and permissions."""

import os
import pickle
import signal
import stat
import subprocess
import sys
import textwrap

import pytest
from safetensors_bytes import saved

import flambeau
from flambeau._serialization import safetensors


class Interrupted(BaseException):
    pass


@pytest.mark.parametrize("error", [Interrupted, KeyboardInterrupt, OSError, MemoryError])
@pytest.mark.parametrize("old", [b"old", None])
def test_a_failing_save_changes_nothing(tmp_path, monkeypatch, error, old):
    path = tmp_path / "x.safetensors"
    if old is not None:
        path.write_bytes(old)
    write_all = safetensors.write_all
    calls = []

    def failing(file, data):
        if len(calls) == 2:
            raise error
        calls.append(len(data))
        write_all(file, data)

    monkeypatch.setattr(safetensors, "write_all", failing)
    with pytest.raises(error):
        flambeau.save({"a": flambeau.ones(100_000), "b": flambeau.ones(100_000)}, path)
    assert calls[1] == 400_000
    assert os.listdir(tmp_path) == ([path.name] if old else [])
    assert old is None or path.read_bytes() == old


def run_python(program, *arguments):
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


@pytest.mark.skipif(sys.platform == "win32", reason="no resource limits")
def test_a_full_disk_does_not_change_the_existing_file(tmp_path):
    path = tmp_path / "x.safetensors"
    flambeau.save([1], path)
    program = """
        import resource, sys, flambeau
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        flambeau.save([flambeau.zeros(1_000_000)], sys.argv[1])
    """
    result = run_python(program, path)
    assert result.returncode == 1
    assert "OSError" in result.stderr
    assert os.listdir(tmp_path) == [path.name]
    assert flambeau.load(path) == [1]


@pytest.mark.parametrize("format", ["pt", "safetensors"])
def test_the_error_of_a_full_disk_names_the_file(format):
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        flambeau.save({"a": flambeau.zeros(100_000)}, "/dev/full", format=format)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_save_leaves_the_old_file_intact(tmp_path):
    path = tmp_path / "x.safetensors"
    flambeau.save([1], path)
    program = """
        import os, signal, sys, flambeau
        from flambeau._serialization import safetensors

        write_all = safetensors.write_all

        def kill_after_the_first_tensor(file, data, calls=[]):
            write_all(file, data)
            file.flush()
            calls.append(data)
            if len(calls) == 2:
                os.kill(os.getpid(), signal.SIGKILL)

        safetensors.write_all = kill_after_the_first_tensor
        flambeau.save([flambeau.zeros(100_000), flambeau.zeros(100_000)], sys.argv[1])
    """
    assert run_python(program, path).returncode == -signal.SIGKILL
    assert flambeau.load(path) == [1]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_permissions_and_links_are_kept(tmp_path):
    path, link = tmp_path / "x", tmp_path / "link"
    previous = os.umask(0o027)
    try:
        flambeau.save([1], path)
    finally:
        os.umask(previous)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o604)
    link.symlink_to(path)
    flambeau.save([2], link)
    assert link.is_symlink()
    assert flambeau.load(path) == [2]
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_special_files_are_written_in_place(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        flambeau.save({"a": flambeau.arange(5)}, pipe, format="safetensors")
        assert os.read(reader, 10_000) == saved({"a": flambeau.arange(5)})
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert os.listdir(tmp_path) == [pipe.name]


def test_errors_name_the_path_that_was_given(tmp_path):
    folder = tmp_path / "absent"
    with pytest.raises(RuntimeError, match=f"^Parent directory {folder} does not exist.$"):
        flambeau.save([], folder / "x")
    for unusable in (tmp_path, ""):
        with pytest.raises(RuntimeError, match=f"^File '{unusable}' cannot be opened"):
            flambeau.save([], unusable)


def test_a_read_only_file_is_not_replaced(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # also for the superuser
    with pytest.raises(PermissionError, match="x"):
        flambeau.save([], path)
    assert path.read_bytes() == b"old"


def test_swapped_arguments_of_save_are_reported(tmp_path):
    with pytest.raises(AttributeError, match=r"got dict; the object comes first: save\(obj, path\)"):
        flambeau.save(tmp_path / "x.pt", {"a": flambeau.ones(1)})


def test_local_functions_and_classes_raise_the_errors_of_pickle(tmp_path):
    class Local:
        pass

    for value in (lambda: 1, Local, [Local()]):
        for error in (AttributeError, pickle.PicklingError):
            with pytest.raises(error, match="Can't pickle local object 'test_local_functions"):
                flambeau.save(value, tmp_path / "local.pt")
    assert list(tmp_path.iterdir()) == []
