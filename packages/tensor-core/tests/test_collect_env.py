"""Tests of the environment report for bug reports."""

import doctest
import platform
import shutil
import subprocess
import sys

import numpy as np
import pytest

import flambeau as fb
from flambeau.utils import collect_env


def test_collect_env_reports_versions_and_hardware():
    known = collect_env.get_env_info()
    assert known.flambeau_version == fb.__version__ and known.num_threads == fb.get_num_threads()
    assert known.python_version.startswith(platform.python_version()) and known.libc_version.startswith("glibc")
    assert known.is_cuda_available == fb.cuda.is_available() and platform.machine() in known.os
    assert f"[pip3] numpy=={np.__version__}" in known.pip_packages.splitlines()
    assert known.cpu_info


@pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")
def test_collect_env_reports_the_version_of_gcc():
    output = subprocess.check_output(["gcc", "-dumpfullversion"], text=True).strip()
    assert output in collect_env.get_env_info().gcc_version


def test_missing_programs_are_reported(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    text = collect_env.get_pretty_env_info()
    assert "GCC version: Could not collect\n" in text and "\nCPU:\n" in text
    assert collect_env.get_env_info().cpu_info


def test_collect_env_runs_on_the_command_line():
    done = subprocess.run(
        [sys.executable, "-m", "flambeau.utils.collect_env"], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[:2] == ["Collecting environment information...", f"flambeau version: {fb.__version__}"]
    assert f"Is CUDA available: {'Yes' if fb.cuda.is_available() else 'No'}" in lines and done.stderr == ""
    assert lines.index("CPU:") < lines.index("Versions of relevant libraries:")


def test_flambeau_runs_as_a_module_on_the_command_line():
    command = [sys.executable, "-W", "error", "-m", "flambeau"]
    lines = subprocess.check_output(command, text=True).splitlines()
    assert lines[0] == f"flambeau version: {fb.__version__}" and f"[pip3] numpy=={np.__version__}" in lines
    assert subprocess.check_output([*command, "--version"], text=True) == f"{fb.__version__}\n"


def test_examples_of_collect_env_run():
    assert doctest.testmod(collect_env).failed == 0
