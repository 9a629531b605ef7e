"""The cost of processes that /proc shows, for processes whose cost is known."""

import os
import subprocess
import sys

from bench.processes import cpu_seconds, machine_cpu_seconds, peak_bytes, process_tree

BURN = "import time\nwhile time.process_time() < 0.2: pass\n"
BURN_IN_A_CHILD = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])\n"
WAIT = "print('up', flush=True); input()"


def python(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def wait_until_up(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"


def test_the_time_of_a_child_that_has_ended_is_counted() -> None:
    with python(BURN_IN_A_CHILD + WAIT) as child:
        wait_until_up(child)

        seconds = cpu_seconds([child.pid])

        child.communicate("\n")
    assert 0.2 <= seconds < 5


def test_a_tree_has_grandchildren_and_its_time_is_theirs_too() -> None:
    nested = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN + WAIT!r}])"
    with python(nested) as child:
        wait_until_up(child)

        tree = process_tree(child.pid)
        seconds = cpu_seconds([child.pid])

        child.communicate("\n")
    assert tree[0] == child.pid
    assert len(tree) == 2
    assert seconds >= 0.2


def test_what_has_ended_costs_nothing() -> None:
    child = python("")
    child.communicate()

    assert process_tree(child.pid) == []
    assert cpu_seconds([child.pid]) == 0
    assert peak_bytes([child.pid]) == 0


def test_the_peak_of_memory_stays_after_the_memory_has_gone() -> None:
    with python("x = b'x' * 50_000_000\ndel x\n" + WAIT) as child:
        wait_until_up(child)

        peak = peak_bytes([child.pid])

        child.communicate("\n")
    assert 50e6 < peak < 200e6


def test_the_machine_has_used_at_least_what_we_have() -> None:
    assert machine_cpu_seconds() >= cpu_seconds([os.getpid()])
