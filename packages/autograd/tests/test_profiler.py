"""The profiler: names, counts and nesting of calls."""

import gzip
import json

import pytest

import flambeau as fb
from flambeau import profiler as alias
from flambeau.autograd.profiler import emit_nvtx, format_time, profile, record_function


def counts(profiled):
    return {average.key: average.count for average in profiled.key_averages()}


def test_operators_views_factories_and_gradients_are_counted():
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


def test_times_and_bytes_include_nested_calls():
    with profile() as profiled, record_function("outer"), record_function("inner"):
        kept = fb.ones(1000)
    outer, inner, ones = profiled.function_events
    assert [e.name for e in profiled.events()] == ["outer", "inner", "ones"] and kept.numel() == 1000
    assert [e.count for e in profiled.events()] == [1, 1, 1]
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


def test_the_profile_prints_a_table():
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


def test_the_profile_exports_a_chrome_trace(tmp_path):
    with profile() as profiled:
        fb.ones(10)
    profiled.export_chrome_trace(tmp_path / "trace.json")
    (event,) = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert event["name"] == "ones" and event["ph"] == "X" and event["dur"] > 0


def test_exceptions_propagate_and_end_profiler_events():
    with profile() as profiled, pytest.raises(RuntimeError):
        fb.ones(2) + fb.ones(3)
    assert all(event.duration > 0 for event in profiled.function_events)
    fb.ones(2)


def test_profiles_cannot_be_nested():
    with profile(), pytest.raises(RuntimeError, match="running already"), profile():
        pass
    with profile(enabled=False) as profiled:
        fb.ones(2)
    assert profiled.function_events == []
    assert issubclass(alias.profile, profile) and alias.record_function is record_function


# Schedules


def test_a_schedule_selects_the_steps_to_record():
    with pytest.warns(UserWarning, match="won't be using warmup"):
        plan = alias.schedule(wait=1, warmup=0, active=2, repeat=2, skip_first=3, skip_first_wait=1)
    names = [plan(step).name for step in range(10)]
    none, record, save = "NONE", "RECORD", "RECORD_AND_SAVE"
    assert names == [none] * 3 + [record, save, none, record, save, none, none]
    for wrong in ({"wait": -1}, {"warmup": -1}, {"active": 0}, {"repeat": -1}, {"skip_first": -1}):
        with pytest.raises(AssertionError, match="Invalid profiler schedule arguments"):
            alias.schedule(**{"wait": 1, "warmup": 1, "active": 1, **wrong})
    with pytest.raises(AssertionError, match="non-negative"):
        plan(-1)


def run(profiled, steps):
    with profiled:
        for number in range(steps):
            fb.ones(number + 1).exp()
            profiled.step()
            fb.zeros(1)
    return profiled


def test_on_trace_ready_is_called_after_each_cycle():
    seen = []

    def ready(profiled):
        seen.append([event.name for event in profiled.events()])

    plan = alias.schedule(wait=1, warmup=1, active=2, repeat=2)
    profiled = run(alias.profile(schedule=plan, on_trace_ready=ready), 12)
    cycles = [
        [f"ProfilerStep#{n}", "zeros", "ones", "exp", f"ProfilerStep#{n + 1}", "zeros", "ones", "exp"] for n in (2, 6)
    ]
    assert seen == cycles and profiled.step_num == 12
    fb.ones(2)
    assert [event.name for event in profiled.events()] == cycles[1]
    assert counts(profiled) == {"ProfilerStep*": 2, "zeros": 2, "ones": 2, "exp": 2}


def test_on_trace_ready_receives_an_incomplete_cycle():
    seen = []
    run(alias.profile(schedule=alias.schedule(wait=0, warmup=1, active=5), on_trace_ready=seen.append), 2)
    assert len(seen) == 1 and seen[0].events()[0].name == "ProfilerStep#1"
    run(alias.profile(schedule=alias.schedule(wait=0, warmup=5, active=5), on_trace_ready=seen.append), 2)
    assert len(seen) == 1


def test_a_profile_without_a_schedule_records_all_steps():
    seen = []
    profiled = alias.profile(activities=[alias.ProfilerActivity.CPU], record_shapes=True, on_trace_ready=seen.append)
    run(profiled, 2)
    assert counts(profiled) == {"ones": 2, "exp": 2, "zeros": 2} and seen == [profiled]
    profiled = alias.profile()
    profiled.start()
    fb.ones(1)
    profiled.stop()
    assert counts(profiled) == {"ones": 1}


def test_an_error_in_a_step_ends_the_record():
    plan = alias.schedule(wait=0, warmup=1, active=2)
    profiled = alias.profile(schedule=plan)
    with pytest.raises(ZeroDivisionError), profiled:
        profiled.step() or 1 // 0
    with profile() as after:
        fb.ones(1)
    assert counts(after) == {"ones": 1} and counts(profiled) == {"ProfilerStep*": 1}


def test_profiling_a_gpu_warns_and_reports_cpu_times():
    activities = list(alias.ProfilerActivity)
    assert {each.name for each in activities} == {"CPU", "XPU", "MTIA", "CUDA", "HPU", "PrivateUse1"}
    with pytest.warns(UserWarning, match="does not record GPU activities"):
        profiled = run(alias.profile(activities=activities), 3)
    assert alias.supported_activities() == {alias.ProfilerActivity.CPU}
    for order in ("self_cuda_time_total", "cuda_time_total", "device_time", "self_device_time_total"):
        own = order.replace("cuda_", "cpu_").replace("device_", "cpu_")
        assert profiled.table(sort_by=order) == profiled.table(sort_by=own)
    with pytest.raises(AssertionError, match="No valid profiler activities"):
        alias.profile(activities=[])


@pytest.mark.parametrize("use_gzip", [False, True])
def test_tensorboard_trace_handler_writes_traces_to_a_folder(tmp_path, use_gzip):
    handler = alias.tensorboard_trace_handler(tmp_path / "logs", "worker", use_gzip)
    plan = alias.schedule(wait=0, warmup=1, active=1)
    run(alias.profile(schedule=plan, on_trace_ready=handler), 4)
    files = sorted((tmp_path / "logs").iterdir())
    assert len(files) == 2
    for number, path in enumerate(files):
        assert path.name.startswith("worker.") and path.name.endswith(
            ".pt.trace.json.gz" if use_gzip else ".trace.json"
        )
        text = gzip.decompress(path.read_bytes()) if use_gzip else path.read_bytes()
        assert json.loads(text)["traceEvents"][0]["name"] == f"ProfilerStep#{2 * number + 1}"


def test_self_memory_excludes_nested_calls():
    with profile() as profiled, record_function("part"):
        kept = fb.ones(1000)
    averages = {average.key: average for average in profiled.key_averages()}
    assert averages["part"].cpu_memory_usage >= kept.nbytes and averages["part"].self_cpu_memory_usage == 0
    assert averages["ones"].self_cpu_memory_usage == averages["ones"].cpu_memory_usage
    rows = profiled.key_averages().table(sort_by="self_cpu_memory_usage").splitlines()
    assert "Self CPU Mem" in rows[1] and rows[3].startswith("ones")


def test_total_average_sums_all_operators():
    with profile() as seen:
        fb.ones(3).exp().sum()
    averages = seen.key_averages()
    total = averages.total_average()
    assert total.key == "Total" and total.count == sum(a.count for a in averages) == 3
    assert total.cpu_time_total == pytest.approx(sum(a.self_cpu_time_total for a in averages))
    assert type(averages)().total_average().cpu_time == 0


def test_programs_can_construct_event_lists():
    from flambeau.autograd.profiler import Average, EventList

    events = EventList([Average("mm", 1, 2.0, 2.0, 0, 0)], use_device=None)
    assert len(events) == 1 and "mm" in events.table()


@pytest.mark.parametrize("shapes", [False, True])
def test_operators_emit_nvtx_ranges(monkeypatch, shapes):
    ranges = []
    monkeypatch.setattr(fb.cuda.nvtx, "range_push", ranges.append)
    monkeypatch.setattr(fb.cuda.nvtx, "range_pop", lambda: ranges.append("end"))
    x = fb.ones(2, 3)
    with emit_nvtx(record_shapes=shapes):
        y = fb.exp(x)
    fb.exp(x)
    with emit_nvtx(enabled=False):
        fb.exp(x)
    assert len(ranges) == 2 and "exp" in ranges[0] and ranges[1] == "end"
    assert ("[[2, 3]]" in ranges[0]) is shapes
    assert fb.equal(y, fb.exp(x))


def test_format_time_chooses_the_unit():
    times = [format_time(microseconds) for microseconds in (12.0, 1500.0, 2.5e6)]
    assert times == ["12.000us", "1.500ms", "2.500s"]


def test_record_shapes_stores_the_shapes_of_the_arguments():
    x, weight = fb.ones(4, 3), fb.ones(2, 3)
    with profile(record_shapes=True) as profiled, record_function("part"):
        (x @ weight.T).exp().add(1)
        fb.exp(weight)
    shapes = {event.name: list(event.input_shapes) for event in profiled.events()}
    assert shapes["matmul"] == [[4, 3], [3, 2]] and shapes["add"] == [[4, 2], []] and shapes["part"] == []
    assert all(event.parent == 0 for event in profiled.events()[1:]) and profiled.events()[0].parent == -1
    groups = {(a.key, str(list(a.input_shapes))): a.count for a in profiled.key_averages(group_by_input_shape=True)}
    assert groups["exp", "[[4, 2]]"] == groups["exp", "[[2, 3]]"] == 1
    assert {a.key: a.count for a in profiled.key_averages()}["exp"] == 2
    text = profiled.key_averages(group_by_input_shape=True).table()
    assert "Input Shapes" in text and "[[4, 3], [3, 2]]" in text and "Input Shapes" not in profiled.table()


def test_shapes_are_recorded_in_the_steps_of_a_schedule():
    with alias.profile(record_shapes=True, schedule=alias.schedule(wait=1, warmup=1, active=1)) as profiled:
        for size in range(1, 4):
            fb.ones(size).exp()
            profiled.step()
    assert [list(e.input_shapes) for e in profiled.events() if e.name == "exp"] == [[[3]]]
    with profile() as profiled:
        fb.ones(2).exp()
    assert all(not event.input_shapes for event in profiled.events())


def test_grouping_by_stack_warns_that_stacks_are_not_recorded():
    with profile() as profiled:
        fb.ones(2).exp()
    with pytest.warns(UserWarning, match="stacks are not recorded"):
        assert profiled.key_averages(group_by_stack_n=5) == profiled.key_averages()


def test_programs_can_query_if_a_profile_is_running():
    assert not fb.autograd._profiler_enabled()
    with profile():
        assert fb.autograd._profiler_enabled()
        with profile(enabled=False):
            assert fb.autograd._profiler_enabled()
        assert fb.autograd._profiler_enabled()
    assert not fb.autograd._profiler_enabled()


def test_record_function_operators_begin_and_end_a_range():
    operators = fb.ops.profiler
    with profile() as profiled:
        handle = operators._record_function_enter("part", None)
        fb.ones(2).exp()
        operators._record_function_exit(handle)
        fb.ones(2)
    parents = {event.name: event.parent for event in profiled.events()[:3]}
    assert parents == {"part": -1, "ones": 0, "exp": 0} and profiled.events()[3].parent == -1
