# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike`` where packages cannot be imported: ``python test/without_ros.py PATTERN ARGUMENTS...``.

PATTERN is a regular expression for whole names of top-level packages. Child processes are not concerned. With ``-`` for
the arguments, several commands are read as JSON from standard input, run one after the other, and reported as JSON.
"""

import json
import re
import sys


class Block:
    """Finds no package whose name matches."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern

    def find_spec(self, name, path=None, target=None):
        if re.fullmatch(self.pattern, name.partition(".")[0]):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


if __name__ == "__main__":
    sys.meta_path.insert(0, Block(sys.argv.pop(1)))
    if sys.argv[1:] == ["-"]:
        from cli_here import cli

        done = [cli(*arguments) for arguments in json.load(sys.stdin)]
        json.dump([(one.args, one.returncode, one.stdout, one.stderr) for one in done], sys.stdout)
    else:
        from liquid_spike_control.__main__ import main

        main()
