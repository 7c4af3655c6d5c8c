"""Test the key-value stores."""

import multiprocessing
import threading
import time
from datetime import timedelta

import pytest

from flambeau import distributed as dist


@pytest.fixture(params=["hash", "file", "tcp", "prefix"])
def store(request, tmp_path):
    """Return a store. Each test runs once with each class of store."""
    if request.param == "file":
        return dist.FileStore(str(tmp_path / "store"))
    if request.param == "tcp":
        return dist.TCPStore("localhost", 0, is_master=True, timeout=timedelta(seconds=20))
    return dist.HashStore() if request.param == "hash" else dist.PrefixStore("above", dist.HashStore())


def test_stores_set_and_get_values(store):
    store.set("text", "é")
    store.set("bytes", bytes(range(256)))
    assert store.get("text") == "é".encode() and store.get("bytes") == bytes(range(256))
    store.set("text", "other")
    assert store.get("text") == b"other" and store.num_keys() == 2
    assert store.check(["text", "bytes"]) and not store.check(["text", "missing"])
    store.append("text", "!")
    store.append("new", b"x")
    assert store.multi_get(["text", "new"]) == [b"other!", b"x"]
    store.multi_set(["a", "b"], ["1", "2"])
    assert store.get("b") == b"2" and store.has_extended_api()
    assert store.delete_key("a") and not store.delete_key("a") and not store.check(["a"])


def test_stores_add_to_counters(store):
    assert store.add("count", 3) == 3 and store.add("count", -5) == -2 and store.get("count") == b"-2"
    with pytest.raises(TypeError, match="amount should be an int, got float"):
        store.add("count", 1.5)


def test_compare_set_writes_only_if_the_expected_value_matches(store):
    assert store.compare_set("key", "wrong", "first") == b"wrong" and not store.check(["key"])
    assert store.compare_set("key", "", "first") == b"first"
    assert store.compare_set("key", "other", "second") == b"first"
    assert store.compare_set("key", "first", "second") == b"second" == store.get("key")


def test_get_waits_for_keys(store):
    threading.Timer(0.1, lambda: store.set("late", "here")).start()
    assert store.get("late") == b"here"
    begin = time.monotonic()
    with pytest.raises(dist.DistStoreError, match=r"wait timeout after 0\.2 s, waiting for keys: never"):
        store.wait(["late", "never"], timedelta(seconds=0.2))
    assert 0.2 <= time.monotonic() - begin < 5
    store.set_timeout(timedelta(seconds=0.1))
    assert store.timeout == timedelta(seconds=0.1)
    with pytest.raises(dist.DistStoreError, match="waiting for keys: never"):
        store.get("never")


def test_invalid_arguments_are_rejected(store):
    with pytest.raises(TypeError, match="the value of a store should be str or bytes, got int"):
        store.set("key", 3)
    for timeout, kind in ((timedelta(0), ValueError), ("soon", TypeError), (True, TypeError)):
        with pytest.raises(kind, match="timeout should be"):
            store.set_timeout(timeout)


def _add(make, times):
    store = make()
    for _ in range(times):
        store.add("count", 1)


def _file(path):
    return dist.FileStore(path)


def _tcp(port):
    return dist.TCPStore("localhost", port)


@pytest.mark.parametrize("kind", ["file", "tcp"])
def test_concurrent_add_is_atomic(kind, tmp_path):
    if kind == "file":
        store, make, given = dist.FileStore(str(tmp_path / "s")), _file, str(tmp_path / "s")
    else:
        store = dist.TCPStore("localhost", 0, is_master=True)
        make, given = _tcp, store.port
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=lambda: _add(lambda: make(given), 50)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert store.get("count") == b"150" and [process.exitcode for process in processes] == [0] * 3


def test_prefix_stores_prepend_their_prefixes_to_keys():
    whole = dist.HashStore()
    part = dist.PrefixStore("outer", dist.PrefixStore("inner", whole))
    part.set("key", "value")
    assert whole.check(["inner/outer/key"])
    assert not dist.PrefixStore("other", whole).check(["key"])


def test_a_file_store_removes_its_file_when_all_processes_have_left(tmp_path):
    path = tmp_path / "store"
    stores = [dist.FileStore(str(path), 2) for _ in range(2)]
    stores[0].set("key", "value")
    assert stores[1].get("key") == b"value" and stores[1].num_keys() == 1
    stores[0].leave()
    assert path.exists()
    stores[1].leave()
    assert not path.exists()


def test_a_tcp_store_without_a_server_raises():
    begin = time.monotonic()
    with pytest.raises(dist.DistNetworkError, match=r"no store responds at localhost:1 after 0\.3 s: is"):
        dist.TCPStore("localhost", 1, timeout=timedelta(seconds=0.3))
    assert time.monotonic() - begin < 10


def test_a_tcp_store_with_an_unknown_host_raises():
    begin = time.monotonic()
    with pytest.raises(dist.DistNetworkError, match=r"there is no host 'nowhere\.invalid'"):
        dist.TCPStore("nowhere.invalid", 1)
    assert time.monotonic() - begin < 60


def test_a_tcp_store_on_a_used_port_raises():
    store = dist.TCPStore("localhost", 0, is_master=True)
    with pytest.raises(dist.DistNetworkError, match=rf"port {store.port} is taken on this machine .* MASTER_PORT="):
        dist.TCPStore("localhost", store.port, is_master=True)


def test_a_tcp_store_names_the_number_of_missing_processes():
    with pytest.raises(
        dist.DistStoreError, match=r"only 1 of 2 processes have connected to the store after 0:00:00\.3"
    ):
        dist.TCPStore("localhost", 0, 2, is_master=True, timeout=timedelta(seconds=0.3))


def test_the_server_runs_until_all_clients_disconnect():
    master = dist.TCPStore("localhost", 0, is_master=True)
    other = dist.TCPStore("localhost", master.port)
    master.set("key", "value")
    del master
    assert other.get("key") == b"value"
