"""The packages of this repository, their builds and their checks: functions for the sessions of noxfile.py."""
