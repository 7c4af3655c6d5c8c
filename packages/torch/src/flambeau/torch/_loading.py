"""Settings of ``torch.utils.data._utils``, for programs that start workers themselves."""

import atexit

__all__ = ["HAS_NUMPY", "IS_WINDOWS", "MP_STATUS_CHECK_INTERVAL", "python_exit_status"]

HAS_NUMPY = True
IS_WINDOWS = False
MP_STATUS_CHECK_INTERVAL = 5.0  # interval in seconds between checks that the other process is alive
python_exit_status = False  # True during interpreter shutdown


def _set_python_exit_flag() -> None:
    global python_exit_status
    python_exit_status = True


atexit.register(_set_python_exit_flag)
