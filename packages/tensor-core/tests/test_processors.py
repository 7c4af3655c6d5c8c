"""The number of threads follows the processors that the process may use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="control groups and affinity masks are Linux's")
COUNT = "import flambeau as fb; print(fb.get_num_threads())"
PROCESSORS = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1


def threads(command, **variables):
    """Return the number of threads of a Python process that a command starts."""
    environment = {name: value for name, value in os.environ.items() if name != "FLAMBEAU_NUM_THREADS"} | variables
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_num_threads_is_set_by_the_environment_variable():
    assert threads([sys.executable, "-c", COUNT], FLAMBEAU_NUM_THREADS="3") == 3


def test_the_affinity_mask_limits_the_threads():
    restrict = f"import os; os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}}); {COUNT}"
    assert threads([sys.executable, "-c", restrict]) == 1


def in_groups(folder):
    """Return the beginning of a command that runs with a folder in place of /sys/fs/cgroup."""
    command = ["unshare", "--user", "--map-root-user", "--mount"]
    mount = f'mount --bind "{folder}" /sys/fs/cgroup && exec "$@"'
    try:
        allowed = subprocess.run([*command, "sh", "-c", mount, "sh", "true"], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("the program unshare is not installed")
    if allowed.returncode != 0:
        pytest.skip("this user may not mount folders in a namespace")
    return [*command, "sh", "-c", mount, "sh"]


@pytest.mark.parametrize(
    ("quota", "count"),
    [
        ("50000 100000", 1),
        ("100000 100000", 1),
        ("150000 100000", min(2, PROCESSORS)),
        ("max 100000", PROCESSORS),
        ("6400000 100000", PROCESSORS),
    ],
)
def test_the_cgroup_quota_limits_the_threads(tmp_path, quota, count):
    if not any(line.startswith("0::") for line in Path("/proc/self/cgroup").read_text().splitlines()):
        pytest.skip("the system has control groups of version 1 only")
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert threads([*in_groups(tmp_path), sys.executable, "-c", COUNT]) == count


@pytest.mark.parametrize(("quota", "count"), [(40000, 1), (150000, min(2, PROCESSORS)), (-1, PROCESSORS)])
def test_the_cgroup_v1_quota_limits_the_threads(tmp_path, quota, count):
    memberships = [line.split(":")[1].split(",") for line in Path("/proc/self/cgroup").read_text().splitlines()]
    if not any("cpu" in controllers for controllers in memberships):
        pytest.skip("the system has control groups of version 2 only")
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert threads([*in_groups(tmp_path), sys.executable, "-c", COUNT]) == count
