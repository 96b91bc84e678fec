# SPDX-License-Identifier: Apache-2.0
"""Coverage-guided fuzzing of the decoders, their kernels as plain Python so that every branch is seen.

In an environment of its own: ``pip install atheris numba numpy``, and from the root of the repository
``PYTHONPATH=. python test/faults/fuzz_codec.py -max_total_time=60 -max_len=256``.
"""

import os
import sys

os.environ["NUMBA_DISABLE_JIT"] = "1"

import atheris

with atheris.instrument_imports(include=["liquid_spike_control.events"]):
    from liquid_spike_control.events import codec  # noqa: F401

from liquid_spike_control.nodes.faults.packets import HEIGHT, WIDTH, Account

ENCODINGS = ("evt3", "mono", "")


def two_packets(data: bytes) -> None:
    if len(data) < 2:
        return
    account, body = Account(), data[2:]
    half = len(body) // 4 * 2
    for part in (body[:half], body[half:]):
        account.take(part, ENCODINGS[data[0] % 3], data[1] * 10**9, WIDTH, HEIGHT)
    assert account.raised == account.broken == 0


if __name__ == "__main__":
    atheris.Setup(sys.argv, two_packets)
    atheris.Fuzz()
