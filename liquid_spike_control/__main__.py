# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike``, where it begins: Ctrl-C ends it in one line also while its modules are being imported."""

from __future__ import annotations

import os
import signal


def _leave(_signum, _frame) -> None:
    os.write(2, b"liquid-spike: interrupted\n")
    os._exit(130)  # there is nothing to clean up yet, and an import must not be left by an exception


def main() -> None:
    """Console script."""
    heeded = signal.getsignal(signal.SIGINT)
    if heeded is signal.default_int_handler:  # in a script's background jobs it is ignored, and stays so
        signal.signal(signal.SIGINT, _leave)
    from .terminal import open_streams

    open_streams()
    from .cli import main as command

    signal.signal(signal.SIGINT, heeded)
    command()


if __name__ == "__main__":
    main()
