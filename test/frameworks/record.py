# SPDX-License-Identifier: Apache-2.0
"""Networks made, exported to NIR and run by the frameworks themselves: what the importer must reproduce.

``python test/frameworks/record.py [framework ...]`` writes ``test/data/nir/<framework>_<case>.nir`` and ``.npz``:
the exported graph; the input spikes (one row a step, as NIR flattens them) and what each layer of neurons sent.
Nengo has no exporter: its graphs are written by hand as the NIR project's example does, its spikes are Nengo's own.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from pathlib import Path

import nengo_cases
import norse_cases
import rockpool_cases
import sinabs_cases
import snntorch_cases
import spikingjelly_cases

DATA = Path(__file__).parents[1] / "data" / "nir"
_MODULES = (snntorch_cases, norse_cases, sinabs_cases, spikingjelly_cases, rockpool_cases, nengo_cases)
CASES = {
    name: make
    for module in _MODULES
    for name, make in vars(module).items()
    if name.startswith(f"{module.__name__.removesuffix('_cases')}_")
}


def main(frameworks: list[str]) -> None:
    """Record every case of the named frameworks, or of all that are installed."""
    warnings.simplefilter("ignore")
    DATA.mkdir(parents=True, exist_ok=True)
    for name, make in CASES.items():
        framework = name.split("_")[0]
        if frameworks and framework not in frameworks:
            continue
        try:
            importlib.import_module(framework)
        except ImportError as error:
            print(f"{name}: {framework} is not installed ({error})")
            continue
        recording = make()
        recording.write(DATA / name)
        rates = ", ".join(f"{m} {x.mean():.3f}" for m, x in recording.layers.items())
        size = sum((DATA / name).with_suffix(s).stat().st_size for s in (".nir", ".npz"))
        print(f"{name}: {framework} {recording.version}, rates {rates}; {size} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
