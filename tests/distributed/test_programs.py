"""Programs written for PyTorch, started as several processes."""

import subprocess
import sys
from pathlib import Path

LAUNCHER = (sys.executable, "-m", "flambeau.distributed.run", "--standalone", "--nproc_per_node=2")
PROGRAM = Path(__file__).with_name("snapshot_trainer.py")


def _losses(folder, epochs):
    command = [*LAUNCHER, "-m", "flambeau.torch", str(PROGRAM), str(epochs), "--snapshot", str(folder / "snapshot.pt")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    lines = [line.split(": ") for line in done.stdout.splitlines() if line.startswith("epoch ")]
    return {int(name.removeprefix("epoch ")): float(loss) for name, loss in lines}, done.stdout


def test_a_distributed_trainer_resumes_from_a_checkpoint(tmp_path):
    losses, _ = _losses(tmp_path, 3)
    assert list(losses) == [0, 1, 2] and losses[2] < losses[0]
    more, said = _losses(tmp_path, 4)
    assert list(more) == [3] and said.count("resuming at epoch 3") == 2 and more[3] < losses[0]
