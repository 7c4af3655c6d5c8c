"""Tests of compiled models against several baselines, with real processes and small stand-ins for the libraries."""

import json
import math
import os
from pathlib import Path

import pytest

from .. import compiled_report, engines, peak_memory, rounds
from ..command_line import ALL_MET, NOT_ALL_MET, main
from ..comparison import Comparison
from ..process import Settings, Side
from ..workload import Library, Workload
from ..workloads import compiled

LIBRARY = {
    "small_library/__init__.py": """
import time
import numpy

__version__ = "1.0"


def tensor(values):
    return numpy.asarray(values)

def compile(function, fullgraph):
    def compiled(*args):
        if not seen:
            seen.append(time.sleep(0.05))
        return function(*args)
    seen = []
    return compiled
""",
    "small_library/nn.py": "class Module: pass\n",
    "small_library/onnx.py": """
import pickle

def export(function, args, path):
    path.write_bytes(pickle.dumps((args[0].shape, str(args[0].dtype))))
""",
    "onnxruntime.py": """
import pickle

__version__ = "2.0"

class SessionOptions:
    intra_op_num_threads = 0

class Input:
    name = "x"

class InferenceSession:
    def __init__(self, path, options, providers):
        self.shape, self.dtype = pickle.loads(open(path, "rb").read())
        assert options.intra_op_num_threads == 1

    def get_inputs(self):
        return [Input]

    def run(self, names, feeds):
        x = feeds["x"]
        assert x.shape == self.shape and str(x.dtype) == self.dtype
        return [x * 2.0 + 1.0]
""",
}
TINY = compiled.model_of("compile, small: x * 2 + 1, 4 numbers")
QUICK = Settings(threads=1, quick=True)


@pytest.fixture
def side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Side:
    for name, text in LIBRARY.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    return Side("small_library")


def run(side: Side, output: Path, *patterns: str) -> tuple[int, dict[str, dict]]:
    """Run the benchmark with the library against itself. Return the status and the rows by name and baseline."""
    names = ["--subject", side.library, "--baseline", side.library, "--output", str(output), "--threads", "1"]
    status = main([*names, "--quick", "--rounds", "1", *(f"--only={pattern}" for pattern in patterns)])
    rows = json.loads((output / "results.json").read_text())["workloads"]
    return status, {f"{row['name']}, {row['against']}": row for row in rows}


def test_a_compiled_model_is_compared_with_each_baseline(side: Side, tmp_path: Path) -> None:
    status, rows = run(side, tmp_path / "out", r"x \* 2 \+ 1")
    assert status == ALL_MET
    times = [rows[f"{TINY.name}, {name}"] for name in (engines.EAGER, engines.ONNX, engines.TORCH)]
    assert all(row["ratio"] > 0 and row["subject"] == times[0]["subject"] for row in times)
    first = rows[f"{TINY.name}, first call, {engines.EAGER}"]
    assert first["subject_median"] > 50 > first["baseline_median"]
    text = (tmp_path / "out" / "table.txt").read_text()
    assert "ONNX Runtime" in text and "compile, small" in text and "recovered after" in text


def test_a_model_that_cannot_be_exported_is_missing_with_the_reason(side: Side, tmp_path: Path) -> None:
    (tmp_path / "small_library" / "onnx.py").write_text("def export(*_): raise NotImplementedError('no such operator')")
    status, rows = run(side, tmp_path / "out", r"x \* 2 \+ 1, 4 numbers$")
    assert status == ALL_MET  # the row has no target
    note = "onnxruntime: RuntimeError: flambeau.onnx.export: NotImplementedError: no such operator"
    assert rows[f"{TINY.name}, {engines.ONNX}"]["note"] == note
    assert rows[f"{TINY.name}, {engines.EAGER}"]["note"] is None


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak is read from Linux's /proc")
def test_peak_memory_is_that_of_calls_after_the_first(side: Side, tmp_path: Path) -> None:
    library = tmp_path / "small_library" / "__init__.py"
    allocates = "bytearray(50_000_000 if seen else 300_000_000)[:]"  # and a copy, which touches the pages
    library.write_text(
        LIBRARY["small_library/__init__.py"].replace("if not seen:", f"{allocates}\n        if not seen:")
    )
    eager, needed = (peak_memory.measure_peak(side.library, engine, 1, TINY.key) for engine in ("eager", "compile"))
    assert eager < 10 and 90 < needed < 200


def test_a_runtime_that_is_not_installed_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    sides, descriptions = engines.usable({engines.ONNX: Side("no_such_runtime")}, QUICK)
    assert not sides and not descriptions
    assert "not compared with ONNX Runtime: no_such_runtime cannot be imported" in capsys.readouterr().err


def test_torch_compile_runs_only_on_request() -> None:
    sides = [engines.sides(Side("flambeau"), Side("torch"), torch_compile)[1] for torch_compile in (False, True)]
    assert engines.TORCH_COMPILE not in sides[0]
    assert sides[1][engines.TORCH_COMPILE].label == "torch.compile"


def test_inputs_and_weights_are_the_same_for_each_engine() -> None:
    first, again = (Library("numpy", engine=engine) for engine in ("onnx", "onnx"))
    again.normal(3)
    inputs = []
    for library in (first, again):
        library.reseed()
        inputs.append(TINY.inputs(library, 4)[0])
    assert (inputs[0] == inputs[1]).all()


def test_a_wrong_result_of_one_baseline_does_not_affect_the_others(
    side: Side, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime.py").write_text(LIBRARY["onnxruntime.py"].replace("x * 2.0", "x * 3.0"))
    status, rows = run(side, tmp_path / "out", r"x \* 2 \+ 1, 4 numbers$")
    assert status == NOT_ALL_MET
    assert rows[f"{TINY.name}, {engines.ONNX}"]["status"] == "differs"
    assert rows[f"{TINY.name}, {engines.EAGER}"]["status"] in ("faster", "slower")
    assert "the results differ" in (tmp_path / "out" / "table.txt").read_text()


def readings(name: str, baseline: str, subject: float, other: float, unit: str | None = None) -> Comparison:
    workload = Workload("compile, some", name, lambda library: None, unit=unit, baselines=(baseline,))
    return Comparison(workload, ([subject], [other]), baseline=baseline)


@pytest.mark.parametrize(
    ("compiled", "eager", "first_ms", "calls"),
    [(0.001, 0.002, 12.0, 10.0), (0.002, 0.001, 12.0, math.inf), (0.001, 0.002, 1.5, 0.0)],
)
def test_recovered_after_counts_the_calls_that_amortise_the_capture(
    compiled: float, eager: float, first_ms: float, calls: float
) -> None:
    times = {engines.EAGER: readings("m", engines.EAGER, compiled, eager)}
    first = {engines.EAGER: readings("m, first call", engines.EAGER, first_ms, 2.0, "ms")}
    assert compiled_report.recovered_after(times, first) == calls


def test_the_table_has_a_column_for_each_baseline_and_sections_for_sizes_and_memory() -> None:
    rows = [
        readings("m", engines.EAGER, 1.0, 2.0),
        readings("m", engines.ONNX, 1.0, 4.0),
        readings("m, another size", engines.AS_COMPILED_FOR, 1.0, 1.0),
        readings("m, peak memory", engines.EAGER, 3.0, 6.0, "MB"),
    ]
    lines = compiled_report.table(rows).splitlines()
    assert lines[0].split()[:5] == ["ratio", "to", "compiled", "eager", "ONNX"]
    assert "0.50 (0.50-0.50)" in lines[3] and "0.25 (0.25-0.25)" in lines[3]
    assert "another size, against a program for it" in lines
    assert lines[-1].split() == ["m", "3.00", "MB", "0.50", "(0.50-0.50)", "6.00", "MB"]


def test_the_chart_has_a_mark_for_each_ratio(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = [readings("m", engines.EAGER, 1.0, 2.0), readings("m", engines.ONNX, 3.0, 2.0)]
    compiled_report.draw(rows, "Models", [tmp_path / "c.svg", tmp_path / "c.png"])
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "c.svg").stat().st_size > 5000
    with pytest.raises(ValueError, match="no model"):
        compiled_report.draw([readings("m, peak memory", engines.EAGER, 1.0, 2.0, "MB")], "Models", [])


def test_all_baselines_are_compared_with_the_same_readings_of_the_subject() -> None:
    workload = Workload("compile, some", "m", lambda library: None, baselines=(engines.EAGER, engines.ONNX))
    one, two = rounds.compared(workload, (engines.EAGER, engines.ONNX, engines.TORCH))
    assert one.values[0] is two.values[0] and one.values[1] is not two.values[1]
    (alone,) = rounds.compared(Workload("other", "m", lambda library: None), ("",))
    assert alone.group == "other" and one.group == "compile, some, against eager"


def test_every_model_is_found_by_the_keys_of_its_rows() -> None:
    for model in compiled.MODELS:
        for row in (*compiled.inference(model), compiled.memory(model)):
            if row.group == model.group:
                assert compiled.model_of(row.key) is model
