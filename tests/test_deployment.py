"""Tests of traced models in a C++ program, which gives the same results in a process without Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.library import extension_op

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(fb._core.__file__).parent
COMPILER = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")

pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler on this machine")

RUN_ANY = r"""
#include <flambeau/program.h>

#include <fstream>
#include <iostream>

flambeau::Values scaled(const flambeau::Values& v) {
  return {std::get<flambeau::Tensor>(v[0]) * flambeau::Scalar(std::get<double>(v[1]))};
}

// run MODEL [SIZE...]: of an input of ones of these sizes, the sum of each output; or what is wrong.
int main(int count, char** arguments) {
  try {
    flambeau::Program::register_operator("test_deployment::scaled", 2, scaled);
    const flambeau::Program model = flambeau::Program::load(arguments[1]);
    flambeau::Shape shape;
    for (int i = 2; i < count; ++i) shape.push_back(std::stoll(arguments[i]));
    for (const flambeau::Tensor& t : model({flambeau::ones(shape, flambeau::Dtype::float32)}))
      std::cout << t.shape() << ' ' << flambeau::item(flambeau::sum(t, {}, false, {})).real() << '\n';
  } catch (const flambeau::ValueError& error) {
    std::cout << "ValueError: " << error.what() << '\n';
  } catch (const flambeau::Error& error) {
    std::cout << "Error: " << error.what() << '\n';
  }
}
"""


def build(source: Path, target: Path) -> None:
    include, lib = PACKAGE / "include", PACKAGE / "lib"
    if not include.exists():  # an editable install has them in its source
        include = ROOT / "packages" / "tensor-core" / "include"
    options = ["-std=c++20", "-O1", f"-I{include}", f"-L{lib}", "-lflambeau", f"-Wl,-rpath,{lib}"]
    subprocess.run([str(COMPILER), str(source), *options, "-o", str(target)], check=True, timeout=600)


def run(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, timeout=600, env={})
    assert done.returncode == 0, done.stderr
    return done.stdout.decode(errors="replace")


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runner")
    (folder / "run.cpp").write_text(RUN_ANY)
    build(folder / "run.cpp", folder / "run")
    return folder / "run"


def test_the_deployment_example_recognises_digits(tmp_path: Path) -> None:
    example = ROOT / "docs" / "examples" / "deployment"
    command = [sys.executable, str(example / "train.py"), "--output", str(tmp_path)]
    subprocess.run(command, check=True, timeout=600, capture_output=True)
    build(example / "classify.cpp", tmp_path / "classify")
    images = sorted(tmp_path.glob("*.txt"))
    answers = run(tmp_path / "classify", tmp_path / "digits.model", *images).splitlines()
    right = [line.partition("-a-")[2][0] == line.partition(": ")[2][0] for line in answers]
    assert len(right) == 5 and sum(right) >= 4


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.lstm = nn.LSTM(8, 5, batch_first=True)
        self.attention = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, x: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor]:
        image = self.conv(x.unsqueeze(1)).relu().amax(1)
        return self.lstm(image)[0][:, -1], self.attention(image)


def test_cpp_programs_accept_inputs_of_any_size(runner: Path, tmp_path: Path) -> None:
    fb.manual_seed(0)
    model = Small().eval()
    fb.jit.trace(model, fb.ones(2, 3, 8)).save(tmp_path / "model")
    for sizes in ((2, 3, 8), (1, 1, 8), (5, 17, 8)):
        lines = run(runner, tmp_path / "model", *sizes).splitlines()
        with fb.no_grad():
            expected = model(fb.ones(sizes))
        for line, tensor in zip(lines, expected, strict=True):
            shape, _, total = line.rpartition(" ")
            assert shape == str(list(tensor.shape))
            assert float(total) == pytest.approx(tensor.sum().item(), rel=1e-4, abs=1e-4)
    assert "(in conv2d, conv, " in run(runner, tmp_path / "model", 2, 3, 0)
    assert run(runner, tmp_path / "model", 2, 3) == (
        "Error: the program was traced with a tensor of 3 dimensions for 'x', got one of shape [2, 3] "
        f"(in check_input, {Path(__file__).name}:{line_of('fb.jit.trace(model')})\n"
    )


def test_cpp_programs_call_operators_of_extensions(runner: Path, tmp_path: Path) -> None:
    @extension_op("test_deployment::scaled")
    def scaled(x: fb.Tensor, factor: float) -> fb.Tensor:
        return x * factor

    @extension_op("test_deployment::unknown")
    def unknown(x: fb.Tensor) -> fb.Tensor:
        return x * 2

    fb.jit.trace(lambda x: scaled(x, 2.5) + 1, fb.ones(2, 3)).save(tmp_path / "model")
    assert run(runner, tmp_path / "model", 4, 2) == "[4, 2] 28\n"
    fb.jit.trace(lambda x: unknown(x), fb.ones(2, 3)).save(tmp_path / "model")
    assert "there is no operator 'test_deployment::unknown' for programs" in run(runner, tmp_path / "model", 2, 3)


def line_of(text: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    return next(i for i, line in enumerate(lines, 1) if text in line)


def test_cpp_programs_do_not_crash_on_damaged_files(runner: Path, tmp_path: Path) -> None:
    """Test that truncated or changed files raise an error or load as another model."""
    path = tmp_path / "model"
    fb.jit.trace(nn.Linear(3, 2), fb.ones(1, 3)).save(path)
    whole = path.read_bytes()
    assert run(runner, tmp_path / "none", 1, 3) == f"Error: cannot open {tmp_path / 'none'}\n"
    fb.save({"weight": fb.ones(2)}, tmp_path / "weights.safetensors")
    assert "contains tensors but no program" in run(runner, tmp_path / "weights.safetensors", 1, 3)
    for length in (0, 4, 8, 60, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert run(runner, path, 1, 3).startswith("ValueError: "), length
    header = int.from_bytes(whole[:8], "little")
    for place in range(0, 8 + header, 5):
        for byte in (0, ord('"'), ord("9"), 0xFF):
            path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
            run(runner, path, 1, 3)
