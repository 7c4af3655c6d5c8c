"""Test that ``flambeau.hub`` loads repositories that were written for PyTorch."""

import subprocess
import sys


def test_a_hub_entry_that_imports_torch_says_how_to_run(tmp_path):
    (tmp_path / "hubconf.py").write_text("import torch\ndef three(): return torch.full((1,), 3).item()")
    code = """
import sys
sys.meta_path.insert(0, type("No", (), {"find_spec": lambda self, name, path=None, target=None: (_ for _ in ()).throw(
    ModuleNotFoundError(name=name)) if name == "torch" else None})())
from flambeau import hub
try:
    hub.load(FOLDER, "three", source="local")
except ModuleNotFoundError as error:
    print(*error.__notes__)
del sys.meta_path[0]
import flambeau.torch
flambeau.torch.install()
print(hub.load(FOLDER, "three", source="local"))
"""
    done = subprocess.run(
        [sys.executable, "-c", code.replace("FOLDER", repr(str(tmp_path)))],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "flambeau.torch.install()" in done.stdout and done.stdout.endswith("\n3\n")
