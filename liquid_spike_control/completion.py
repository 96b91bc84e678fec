# SPDX-License-Identifier: Apache-2.0
"""Scripts by which a shell completes ``liquid-spike``: commands, options, names of robots, and files.

tyro writes them. Its scripts complete no positional argument, erase a word that they do not know, and offer each line
of an option's help as a word; :data:`_ADDED`, in their Python part, corrects that.
"""

from __future__ import annotations

from collections.abc import Sequence

from .errors import LiquidSpikeError

#: Commands whose first argument is a robot.
OF_A_ROBOT = (
    "bench robot", "bench scale", "run", "train controller", "train expert", "train perception", "train policy",
    "train reward", "view",
)  # fmt: skip
#: Commands whose first argument is one of a few words.
OF_A_WORD = {
    "bench sequence": ("xor", "walker2d"),
    "completion": ("bash", "zsh", "fish"),
    "neuromorphic fuzz": ("lava", "nengo_loihi", "brian2_loihi"),
}
#: Commands whose first argument is a file or a folder.
OF_A_FILE = (
    "bench adaptation", "bench policy", "controller export", "controller inspect", "events convert",
    "events hot-pixels", "events info", "events play", "neuromorphic compare", "neuromorphic compile",
    "neuromorphic energy", "neuromorphic inspect", "neuromorphic run", "new", "replay", "security keystore",
    "train reservoir",
)  # fmt: skip
#: Where the Python part of tyro's script begins its program.
_BEGIN = "def main() -> None:\n"
#: How tyro's script for bash completes files: only behind an option, and not those with blanks. Readline can do both.
_FILES = 'COMPREPLY=($(compgen -f -- "$cur"))'
#: Only single quotes, no dollar, no backslash: fish has it within double quotes.
_ADDED = """FIRST = {first!r}
ROBOTS = {robots!r}
FILES = '__TYRO_COMPLETE_FILES__'
by_options = get_completions


def get_completions(words, current_word_index, spec):
    before, (word,) = words[:current_word_index], [*words, ''][current_word_index:][:1]
    command = ' '.join(before[1:])
    known = by_options(words, current_word_index, spec)
    if before[-1:] == ['--robot']:
        known = ROBOTS
    elif known != [FILES] and not word.startswith('-'):
        arguments = [line for line in known if not line.startswith('-')]
        known = FIRST.get(command) or arguments or ([] if word or command in FIRST else known)
    found = [' '.join(line.splitlines()) for line in known if line.startswith(word)]
    return found or [FILES]


"""


def completion_script(script: str, robots: Sequence[str]) -> str:
    """A script that completes arguments, too.

    Args:
        script: of tyro, for any shell.
        robots: names that are known.

    Raises:
        LiquidSpikeError: the script is not of the form that tyro's have.
    """
    if script.count(_BEGIN) != 1:
        raise LiquidSpikeError("completion: tyro's script has another form; install the tyro of constraints.txt")
    first: dict[str, list[str]] = {command: [] for command in OF_A_FILE}
    first |= {command: list(robots) for command in OF_A_ROBOT}
    first |= {command: list(words) for command, words in OF_A_WORD.items()}
    script = script.replace(_BEGIN, _ADDED.format(first=first, robots=list(robots)) + _BEGIN)
    return script.replace(_FILES, "compopt -o default 2>/dev/null; COMPREPLY=()")
