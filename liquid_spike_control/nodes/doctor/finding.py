# SPDX-License-Identifier: Apache-2.0
"""Findings of the doctor: one line, and a remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One line of ``liquid-spike doctor``.

    Attributes:
        name: what was looked at.
        status: ok; warning: it works, but not as a robot should; error: it does not work.
        text: what was found.
        remedy: what to do about it; empty where there is nothing to do.
    """

    name: str
    status: Status
    text: str
    remedy: str = ""


def ok(name: str, text: str, remedy: str = "") -> Finding:
    """The check passed; a remedy describes an optional improvement."""
    return Finding(name, "ok", text, remedy)


def warning(name: str, text: str, remedy: str) -> Finding:
    """The check passed, but not well enough for a robot."""
    return Finding(name, "warning", text, remedy)


def error(name: str, text: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(name, "error", text, remedy)
