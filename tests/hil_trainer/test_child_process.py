"""A child process does not outlive its parent."""

import os
import signal
import subprocess
import sys
import time

import pytest

PARENT = """
import multiprocessing, time
from hil_trainer.child_process import exit_with_parent, interrupts_blocked

def work():
    exit_with_parent()
    print("working", flush=True)
    time.sleep(600)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    context.Event()
    child = context.Process(target=work)
    with interrupts_blocked():
        child.start()
    print(child.pid, flush=True)
    child.join()
"""
PATIENCE = 30  # s


def is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def family(tmp_path):
    """A parent, and the process id of its child, which got Ctrl-C before it began to work."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, start_new_session=True)
    child = int(parent.stdout.readline())
    os.kill(child, signal.SIGINT)
    assert parent.stdout.readline() == "working\n"
    yield parent, child
    parent.kill()
    parent.wait()
    parent.stdout.close()


@pytest.mark.skipif(os.name == "nt", reason="processes are killed otherwise on Windows")
def test_a_child_ends_with_a_parent_that_is_killed_but_not_with_ctrl_c(family):
    parent, child = family
    os.kill(child, signal.SIGINT)
    time.sleep(0.3)
    assert is_there(child)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + PATIENCE
    while is_there(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_there(child)
