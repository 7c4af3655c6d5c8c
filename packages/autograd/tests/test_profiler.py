"""The profiler: what was called, how often, within what."""

import json

import pytest

import flambeau as fb
from flambeau import profiler as alias
from flambeau.autograd.profiler import profile, record_function


def counts(profiled):
    return {average.key: average.count for average in profiled.key_averages()}


def test_calls_of_every_kind_are_counted():
    x = fb.ones(8, 8, requires_grad=True)
    with profile() as profiled:
        y = (x @ x + 1).relu()
        y = -y * 2
        y[0]
        z = fb.zeros(3)
        z += 1
        z.mul_(2)
        z[0] = 5
        (y > 0).any()
        y.sum().backward()
    found = counts(profiled)
    for name in (
        "matmul",
        "add",
        "relu",
        "neg",
        "mul",
        "__getitem__",
        "zeros",
        "add_",
        "mul_",
        "__setitem__",
        "gt",
        "sum",
    ):
        assert found[name] == 1, name
    assert found["MmBackward0"] == found["ReluBackward0"] == found["AccumulateGrad"] == 1
    fb.ones(2) * 2
    assert counts(profiled) == found


def test_times_and_bytes_nest():
    with profile() as profiled, record_function("outer"), record_function("inner"):
        kept = fb.ones(1000)
    outer, inner, ones = profiled.function_events
    assert [e.name for e in profiled.events()] == ["outer", "inner", "ones"] and kept.numel() == 1000
    assert (outer.parent, inner.parent, ones.parent) == (-1, 0, 1)
    assert outer.duration >= inner.duration >= ones.duration > 0
    assert outer.self_time == outer.duration - inner.duration
    assert ones.bytes >= 4000 and outer.bytes >= 4000
    assert profiled.self_cpu_time_total == pytest.approx(outer.duration / 1e3)


def test_calls_within_calls_of_the_same_name_count_once_in_the_total():
    @record_function("again")
    def recurse(n):
        return n if n == 0 else recurse(n - 1)

    with profile() as profiled:
        recurse(3)
    (average,) = profiled.key_averages()
    assert average.count == 4 and average.cpu_time_total == pytest.approx(profiled.function_events[0].duration / 1e3)


def test_the_table():
    with profile() as profiled:
        for _ in range(3):
            fb.ones(10) + 1
        fb.zeros(10)
    lines = profiled.key_averages().table(sort_by="count", row_limit=2).splitlines()
    assert lines[1].split()[0] == "Name" and len(lines) == 7
    assert {lines[3].split()[0], lines[4].split()[0]} == {"ones", "add"} and lines[3].split()[-1] == "3"
    names = [line.split()[0] for line in profiled.table(sort_by="key").splitlines()[3:-2]]
    assert names == ["add", "ones", "zeros"]
    with pytest.raises(ValueError, match="sort_by must be one of"):
        profiled.table(sort_by="colour")


def test_the_trace(tmp_path):
    with profile() as profiled:
        fb.ones(10)
    profiled.export_chrome_trace(tmp_path / "trace.json")
    (event,) = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert event["name"] == "ones" and event["ph"] == "X" and event["dur"] > 0


def test_exceptions_pass_and_end_their_events():
    with profile() as profiled, pytest.raises(RuntimeError):
        fb.ones(2) + fb.ones(3)
    assert all(event.duration > 0 for event in profiled.function_events)
    fb.ones(2)


def test_only_one_at_a_time():
    with profile(), pytest.raises(RuntimeError, match="running already"), profile():
        pass
    with profile(enabled=False) as profiled:
        fb.ones(2)
    assert profiled.function_events == []
    assert alias.profile is profile
