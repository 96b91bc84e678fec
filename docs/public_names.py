# SPDX-License-Identifier: Apache-2.0
"""A page of the public names, which autodoc fills from their docstrings."""

import inspect
from pathlib import Path

import liquid_spike_control

#: Headings, and the modules of the package whose public names stand under each.
SECTIONS = {
    "Robots": ("robot", "robot_file", "robots.catalogue"),
    "The loop": ("assembly", "loop", "sim.world", "tasks.mujoco_task", "tasks.episode"),
    "Events and perception": ("events.camera", "events.files", "perception", "types"),
    "Control": ("control.files", "control.gate"),
    "Neuromorphic": ("neuromorphic",),
    "Records and errors": ("records.replay", "errors"),
}


def write(path: Path) -> None:
    """Write the page, if it is another one than before.

    Raises:
        RuntimeError: a module with public names stands under no heading.
    """
    modules = liquid_spike_control._MODULES
    if forgotten := set(modules) - {module for listed in SECTIONS.values() for module in listed}:
        raise RuntimeError(f"docs/public_names.py: put {forgotten} under a heading")
    parts = ["# Python", "", "`import liquid_spike_control as lsc` gives these names, each loaded when it is used.", ""]
    for heading, listed in SECTIONS.items():
        parts += [f"## {heading}", ""]
        for module in listed:
            parts += [line for name in modules[module] for line in entry(module, name)]
    parts += ["## `liquid_spike_control.neuromorphic`", ""]
    from liquid_spike_control import neuromorphic

    for name in neuromorphic.__all__:
        if name not in modules["neuromorphic"]:
            parts += entry(f"neuromorphic.{neuromorphic._WHERE[name]}", name)
    text = "\n".join(parts)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def entry(module: str, name: str) -> list[str]:
    """The lines of a name."""
    found = getattr(liquid_spike_control, name, None)
    if found is None:
        from liquid_spike_control import neuromorphic

        found = getattr(neuromorphic, name)
    if name == "EVENT":
        return ["### EVENT", "", "NumPy's type of events: " + ", ".join(
            f"`{field}` {found.fields[field][0]}" for field in found.names) + "; time in ns.", ""]  # fmt: skip
    kind = "autoclass" if inspect.isclass(found) else "autofunction"
    lines = [f"### {name}", "", "```{eval-rst}", f".. {kind}:: {found.__module__}.{name}"]
    if kind == "autoclass":
        lines += ["   :members:"]
    return [*lines, "```", ""]
