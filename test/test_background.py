# SPDX-License-Identifier: Apache-2.0
"""A process that gives way does so with all its threads."""

import subprocess
import sys

PROGRAM = """
import os, threading
from liquid_spike_control.background import NICENESS, give_way
threading.Thread(target=threading.Event().wait, daemon=True).start()
give_way()
found = [os.getpriority(os.PRIO_PROCESS, int(t)) for t in os.listdir("/proc/self/task")]
print(len(found) > 1, set(found) == {NICENESS})
"""


def test_all_threads_give_way():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert done.stdout == "True True\n", done.stderr
