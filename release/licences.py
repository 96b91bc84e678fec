# SPDX-License-Identifier: Apache-2.0
"""A table of licences out of a CycloneDX bill of materials: ``python licences.py sbom.cdx.json > licences.md``."""

import json
import sys
from pathlib import Path


def licence(component: dict) -> str:
    """The licences of a component, as its distribution states them; a whole text counts by its first line."""
    found = []
    for entry in component.get("licenses", ()):
        stated = entry.get("license", {})
        text = entry.get("expression") or stated.get("id") or stated.get("name") or "unknown"
        found.append(text.strip().split("\n")[0].removeprefix("License :: OSI Approved :: "))
    return "; ".join(dict.fromkeys(found)) or "unknown"


def main(path: Path) -> None:
    """Print the table."""
    print("# Licences of what this package needs\n\nMade by `make dist`.\n")
    print("| package | version | licence |\n|---|---|---|")
    for component in sorted(json.loads(path.read_text())["components"], key=lambda found: found["name"].lower()):
        print(f"| {component['name']} | {component['version']} | {licence(component)} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
