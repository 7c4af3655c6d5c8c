"""Test that programs that import torch get flambeau, by ``python -m flambeau.torch`` or ``flambeau.torch.install``."""

import subprocess
import sys

import pytest

import flambeau as fb
from flambeau.torch import version


def test_torch_is_flambeau(run):
    printed = run(
        """
        import sys
        import torch
        import torch.linalg as linalg
        from torch import fft, tensor
        import flambeau
        assert torch.Tensor is flambeau.Tensor and torch.float32 is flambeau.float32
        assert torch.linalg is linalg is flambeau.linalg and fft is flambeau.fft
        assert flambeau.linalg.__name__ == "torch.linalg" and flambeau.linalg.__spec__.name == "flambeau.linalg"
        assert torch.functional.einsum is flambeau.einsum
        assert sys.argv[1:] == ["--seed", "3"] and __name__ == "__main__"
        print(torch.__version__, tensor([1.0]).pow(2))
    """,
        "--seed",
        "3",
    )
    assert printed == f"2.13.0+flambeau{fb.__version__} tensor([1.])\n"


def test_star_import_gives_functions_and_types(run):
    run("""
        from torch import *
        assert is_tensor(zeros(2, dtype=int64)) and Tensor is not None
        assert "linalg" not in globals()
    """)


def test_a_missing_name_raises_and_suggests_the_closest_match(run):
    printed = run("""
        import torch
        try:
            torch.linalg.choleski
        except AttributeError as error:
            print(error)
        try:
            torch.matrix_norm
        except AttributeError as error:
            print(error)
        print(hasattr(torch, "no_such_thing_anywhere"), hasattr(torch.Tensor, "add"))
    """)
    assert printed.splitlines() == [
        "flambeau has no torch.linalg.choleski; did you mean: torch.linalg.cholesky, torch.linalg.cholesky_ex",
        "flambeau has no torch.matrix_norm; did you mean: torch.linalg.matrix_norm, "
        "torch.matrix_power, torch.matrix_exp",
        "False True",
    ]


def test_the_error_for_a_removed_function_names_its_replacement(run):
    printed = run("""
        import torch
        from flambeau.torch._missing import _REMOVED
        for removed in sorted(_REMOVED):
            name = removed.removeprefix("torch.")
            try:
                getattr(torch, name)
            except AttributeError as error:
                print(error)
            assert any(hasattr(module, "eigh" if name == "symeig" else name) for module in (torch.linalg, torch.fft))
    """)
    lines = printed.splitlines()
    assert len(lines) == 8
    assert lines[3] == (
        "flambeau has no torch.lstsq; PyTorch removed it. Use torch.linalg.lstsq(), which takes the arguments in the "
        "opposite order"
    )


@pytest.mark.parametrize(
    ("statement", "error", "text"),
    [
        ("from torch import add_up", "ImportError", "flambeau has no torch.add_up"),
        ("from torch.linalg import q_r", "ImportError", "no torch.linalg.q_r; did you mean: torch.linalg.qr"),
        ("import torch.nowhere", "ModuleNotFoundError", "flambeau has no torch.nowhere"),
        ("from torch.nowhere import name", "ModuleNotFoundError", "flambeau has no torch.nowhere"),
    ],
)
def test_importing_a_missing_name_raises_import_error(run, statement, error, text):
    printed = run(f"try:\n    {statement}\nexcept ImportError as error:\n    print(type(error).__name__, error)")
    assert printed.startswith(error) and text in printed


def test_the_report_lists_missing_names(run):
    program = """
        import torch
        if hasattr(torch, "nonsense"):
            print("impossible")
        torch.zeros(2).mull(3)
    """
    printed = run(program, options=["--report"], status=1)
    report = printed.partition("Missing in flambeau:\n")[2].splitlines()
    assert [line.split()[0] for line in report if line.startswith("  torch.")] == [
        "torch.nonsense",
        "torch.Tensor.mull",
    ]
    assert "program.py:3" in report[0] and "program.py:5" in report[1] and "torch.Tensor.mul" in report[1]
    assert run("import torch", options=["--report"]) == "flambeau has every name that the program used.\n"


def test_the_exit_status_and_traceback_are_those_of_the_program(run):
    assert run("import sys\nsys.exit(7)", status=7) == ""
    assert "ZeroDivisionError" in run("1 / 0", status=1)


def test_the_option_c_runs_text_as_the_main_module(tmp_path):
    (tmp_path / "beside.py").write_text("value = 3")
    text = """
import pickle, sys, torch, beside
class Point: pass
assert type(pickle.loads(pickle.dumps(Point()))) is Point and __name__ == "__main__"
print(torch.ones(beside.value), sys.argv)
"""
    command = [sys.executable, "-W", "error", "-m", "flambeau.torch", "-c"]
    printed = subprocess.check_output([*command, text, "--flag", "x"], cwd=tmp_path, text=True)
    assert printed == "tensor([1., 1., 1.]) ['-c', '--flag', 'x']\n"
    for arguments, status in ((["import sys; sys.exit(3)"], 3), (["1 / 0"], 1), ([], 2)):
        assert subprocess.run([*command, *arguments], capture_output=True, check=False).returncode == status


def test_a_script_is_named_by_its_absolute_path_like_under_python(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "script.py").write_text(
        "import inspect, os, sys\n"
        "def double(x): return 2 * x\n"
        "os.chdir(sys.argv[1])\n"
        "print(inspect.getsource(double), __file__, sys.argv[0], sys.modules[double.__module__].double(1))\n"
    )
    printed = [
        subprocess.check_output([sys.executable, *prefix, "folder/script.py", "/"], cwd=tmp_path, text=True)
        for prefix in ([], ["-m", "flambeau.torch"])
    ]
    assert printed[1] == printed[0] and "return 2 * x" in printed[1]


def test_a_directory_with_a_main_module_runs_as_a_script(tmp_path):
    (tmp_path / "__main__.py").write_text("import torch\nprint(torch.ones(2))")
    command = [sys.executable, "-m", "flambeau.torch", str(tmp_path)]
    assert subprocess.check_output(command, text=True) == "tensor([1., 1.])\n"


def test_the_option_m_runs_a_module(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__main__.py").write_text("import sys, torch\nprint(torch.ones(2), sys.argv[1:])")
    command = [sys.executable, "-m", "flambeau.torch", "-m", "package", "--flag"]
    assert subprocess.check_output(command, cwd=tmp_path, text=True) == "tensor([1., 1.]) ['--flag']\n"


def test_the_command_without_a_program_prints_the_usage():
    done = subprocess.run([sys.executable, "-m", "flambeau.torch"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "expected a program to run" in done.stderr


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_subprocesses_of_the_program_can_import_torch(run, method):
    run(f"""
        import multiprocessing
        import torch

        def double(x):
            import torchless_check
            return torch.__version__, (2 * x).tolist()

        if __name__ == "__main__":
            import pathlib
            pathlib.Path(__file__).with_name("torchless_check.py").write_text("import torch; torch.linalg.qr")
            with multiprocessing.get_context({method!r}).Pool(1) as pool:
                assert pool.map(double, [torch.ones(2)]) == [(torch.__version__, [2.0, 2.0])]
    """)


def test_pickles_contain_the_names_of_pytorch(run):
    pytest.importorskip("flambeau.optim", reason="needs flambeau-optim")
    pytest.importorskip("flambeau.nn", reason="needs flambeau-nn")
    run("""
        import pickle
        import torch
        for value in (torch.Size, torch.nn.Linear, torch.optim.lr_scheduler.StepLR, torch.add):
            text = pickle.dumps(value, 0)
            assert text.startswith(b"ctorch") and pickle.loads(text) is value, text
        assert pickle.loads(b"cflambeau\\nSize\\n.") is torch.Size
        assert pickle.loads(b"cflambeau.nn.modules.linear\\nLinear\\n.") is torch.nn.Linear
    """)


def test_uninstall_reverts_install(run):
    run("""
        import sys
        import flambeau.torch
        suggesting = vars(flambeau.linalg)["__getattr__"]
        flambeau.torch.install()
        import torch
        assert sys.modules["torch"] is torch and hasattr(torch, "linalg") and not hasattr(torch.linalg, "foo")
        assert [entry.name for entry in flambeau.torch.missing()] == ["torch.linalg.foo"]
        flambeau.torch.uninstall()
        flambeau.torch.uninstall()
        assert "torch" not in sys.modules and vars(flambeau.linalg)["__getattr__"] is suggesting
        assert flambeau.torch.missing() == []
        sys.modules["torch"] = sys
        try:
            flambeau.torch.install()
        except RuntimeError as error:
            assert "torch is already imported" in str(error)
        else:
            raise AssertionError
    """)


def test_seeds_give_the_random_numbers_of_pytorch(run):
    # The expected values were computed by PyTorch 2.13.0 after torch.manual_seed(0).
    run("""
        import torch
        torch.manual_seed(0)
        assert torch.rand(2).tolist() == [0.49625658988952637, 0.7682217955589294]
        torch.manual_seed(0)
        assert torch.randperm(10).tolist() == [4, 1, 7, 5, 3, 9, 0, 8, 6, 2]
        assert torch.get_rng_state().shape == (5056,) and torch.Generator().algorithm == "mt19937"
        import flambeau.torch
        flambeau.torch.uninstall()
        assert flambeau.get_rng_state().shape == (16,) and flambeau.Generator().algorithm == "philox"
    """)


def test_metadata_of_the_torch_distribution_is_found(run):
    run("""
        from importlib import metadata
        import flambeau.torch
        import torch
        assert metadata.version("torch") == torch.__version__
        assert metadata.version("torchvision").startswith("0.28.0")
        assert len([found for found in metadata.distributions() if "+flambeau" in found.version]) == 2
        flambeau.torch.uninstall()
        assert not [found for found in metadata.distributions() if "+flambeau" in found.version]
    """)


def test_the_version_compares_as_a_version():
    ours = version.TorchVersion("2.13.0+flambeau0.1.0")
    assert ours >= "2.2" and ours > "2.9.1" and ours < "3" and ours <= "2.13" and ours >= (2, 13) and not ours > (2, 13)
    assert ours == "2.13.0+flambeau0.1.0" and ours.split("+")[0] == "2.13.0"
    assert version.TorchVersion("2.13.0a1") < "2.13.1"
