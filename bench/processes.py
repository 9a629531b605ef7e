"""Read the cost of processes from /proc: CPU time and memory of whole process trees."""

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def process_tree(root: int) -> list[int]:
    """Return `root` and its present descendants; nothing if `root` has ended."""
    children: dict[int, list[int]] = {}
    alive = set()
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            alive.add(int(entry.name))
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root] if root in alive else []
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_seconds(roots: Iterable[int]) -> float:
    """Return the CPU time, in user and kernel mode, of these processes, their descendants and ended children.

    It is exact to a clock tick (10 ms) for each process. The time of a child moves to its parent when the
    child ends, so the difference of two readings is complete.
    """
    ticks = 0
    for root in roots:
        for pid in process_tree(root):
            ticks += sum(int(field) for field in _stat(pid)[11:15])
    return ticks / _TICKS_PER_SECOND


def peak_bytes(roots: Iterable[int]) -> int:
    """Return the largest peak memory (resident set) of one of these processes and their descendants."""
    return max([0, *(_status_bytes(pid, "VmHWM") for root in roots for pid in process_tree(root))])


def resident_bytes(roots: Iterable[int]) -> list[int]:
    """Return the present memory (resident set) of each of these processes and their descendants."""
    return [_status_bytes(pid, "VmRSS") for root in roots for pid in process_tree(root)]


def machine_cpu_seconds() -> float:
    """Return the CPU time that all processes of this machine have used."""
    user, nice, system, _idle, _iowait, irq, softirq, *_ = (
        int(field) for field in (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + irq + softirq) / _TICKS_PER_SECOND


def _status_bytes(pid: int, field: str) -> int:
    """Return a size in ``/proc/PID/status``; 0 if the process has ended."""
    try:
        status = (_PROC / str(pid) / "status").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(f"{field}:"))


def _stat(pid: int) -> list[str]:
    """Return the fields of ``/proc/PID/stat`` after the program's name; nothing if the process has ended."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return []
    # The name is in parentheses, and may itself hold blanks and parentheses.
    return text[text.rindex(")") + 2 :].split()
