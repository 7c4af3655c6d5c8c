"""Test the channel between a loader and a worker process."""

from __future__ import annotations

import threading

import pytest

from flambeau.data._channel import Channel


def test_messages_that_arrived_before_the_end_are_still_received() -> None:
    loader, end = Channel.pair()
    worker = Channel(end)
    loader.post(b"first")
    loader.post(b"second" * 2000)
    assert not worker.is_closed_by_peer()
    assert worker.receive() == (b"first", None)
    loader.close_sending()
    assert worker.is_closed_by_peer()
    assert worker.receive() == (b"second" * 2000, None)
    with pytest.raises(EOFError):
        worker.receive()
    loader.close()
    worker.close()


def test_large_messages_arrive_in_both_directions() -> None:
    loader, end = Channel.pair()
    worker = Channel(end)
    content = bytes(range(256)) * 8192
    sender = threading.Thread(target=worker.send, args=(content,))
    sender.start()
    assert loader.receive() == (content, None)
    sender.join()
    loader.post(content)  # does not fit in the socket's buffer
    received: list[tuple[bytearray, int | None]] = []
    receiver = threading.Thread(target=lambda: received.append(worker.receive()))
    receiver.start()
    while receiver.is_alive():
        loader.flush()
    assert received == [(content, None)]
    loader.close()
    worker.close()
