# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike events info``, ``hot-pixels`` and ``convert``: describe a recording, or write it in another format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from ..errors import LiquidSpikeError, TaskError
from ..events.files import write_events
from ..events.filters import count_pixels
from ..events.hot_pixels import FEWEST_EVENTS, find_hot_pixels, write_hot_pixels
from ..events.words import to_words
from ..outputs import check_new, write_json
from ..terminal import Console
from .event_account import EventAccount
from .event_bag import PacketForm, packets, write_event_bag
from .event_source import EventSource, open_source
from .progress import ProgressBar

if TYPE_CHECKING:
    from ..options import EventsConvertOptions, EventsInfoOptions, HotPixelsOptions

SECOND_NS = 1_000_000_000
#: Hot pixels that are listed.
SHOWN = 10


def info_command(options: EventsInfoOptions) -> int:
    """Read a recording and print its statistics; 0 if its events are in order and inside the picture, or 1.

    Raises:
        LiquidSpikeError: an option or the recording is wrong.
    """
    source = open_source(options.file, options.topic, options.size, options.clock == "sensor", options.track)
    account = EventAccount(source.width, source.height)
    with ProgressBar("reading", "events") as bar:
        for piece in source.pieces():
            account.add(piece)
            bar.show(account.events, None)
    _demand_events(source, account)
    table = Table(title=str(options.file), show_header=False)
    for row in account.rows():
        table.add_row(*row)
    console = Console(highlight=False)
    console.print(table)
    _print_losses(console, source)
    if options.json is not None:
        statistics = {k: v for k, v in asdict(account).items() if not k.startswith("_")}
        write_json(options.json, statistics | {"duration_s": account.duration_s})
    return 1 if account.backward or account.outside else 0


def hot_pixels_command(options: HotPixelsOptions) -> int:
    """Find the hot pixels of a recording, and write them as a mask; 0.

    Raises:
        LiquidSpikeError: an option or the recording is wrong.
    """
    source = open_source(options.file, options.topic, options.size, options.clock == "sensor", options.track)
    account = EventAccount(source.width, source.height)
    counts = np.zeros((source.height, source.width), np.int64)
    with ProgressBar("reading", "events") as bar:
        for piece in source.pieces():
            account.add(piece)
            count_pixels(to_words(piece), counts)
            bar.show(account.events, None)
    _demand_events(source, account)
    duration_s = account.duration_s
    if duration_s * options.rate < 1:
        remedy = f"record {FEWEST_EVENTS / options.rate:g} s, or give a greater --rate"
        raise TaskError(f"{source.path}: {duration_s:.3f} s are too short for pixels of {options.rate:g} Hz; {remedy}")
    found = find_hot_pixels(counts, duration_s, options.rate, options.factor)
    console = Console(highlight=False, soft_wrap=True)
    n = len(found.pixels)
    console.print(
        f"{options.file}: {n} hot pixel{'' if n == 1 else 's'} of {source.width} x {source.height} in {duration_s:.3f}"
        f" s, {100 * found.share:.1f} % of {account.events} events"
    )
    for (x, y), rate in sorted(zip(found.pixels.tolist(), found.rates, strict=True), key=lambda pair: -pair[1])[:SHOWN]:
        console.print(f"  column {x}, row {y}: {rate:.1f} Hz")
    if n > SHOWN:
        console.print(f"  and {n - SHOWN} more")
    _print_losses(console, source)
    if options.out is not None:
        facts = {
            "recording": options.file.name, "duration_s": duration_s, "rate_hz": options.rate, "factor": options.factor,
            "share": found.share,
        }  # fmt: skip
        write_hot_pixels(options.out, found, facts)
    return 0


def convert_command(options: EventsConvertOptions) -> int:
    """Write a recording in another format; 0.

    Raises:
        LiquidSpikeError: an option or the recording is wrong; events read before the fault remain in the output.
    """
    check_new(options.out, into=options.out.suffix != ".mcap")
    source = open_source(options.file, options.topic, options.size, options.clock == "sensor", options.track)
    account = EventAccount(source.width, source.height)
    with ProgressBar("converting", "events") as bar:
        pieces = _counted(source, account, bar)
        if options.out.suffix == ".mcap":
            start_ns = None if options.start is None else round(options.start * SECOND_NS)
            form = PacketForm(options.encoding, round(options.window * SECOND_NS), options.driver)
            try:
                n = write_event_bag(options.out, packets(pieces, form, start_ns), source, options.topic, form)
            except LiquidSpikeError:
                if not account.events:
                    options.out.unlink(missing_ok=True)  # an empty bag would stand in the way of the next attempt
                raise
            made = f"{n} packets on {options.topic}"
        else:
            write_events(options.out, pieces, source.width, source.height, options.version)
            made = f"{source.width} x {source.height}"
    console = Console(highlight=False, soft_wrap=True)
    size = f", {options.out.stat().st_size / 1e6:.2f} MB" if options.out.is_file() else ""
    console.print(f"{options.out}: {account.events} events, {account.duration_s:.3f} s, {made}{size}")
    _print_losses(console, source)
    return 0


def _counted(source: EventSource, account: EventAccount, bar: ProgressBar) -> Iterator[np.ndarray]:
    for piece in source.pieces():
        account.add(piece)
        if account.outside:
            size = f"{source.width} x {source.height} pixels"
            raise TaskError(f"{source.path}: {account.outside} events lie outside of {size}; give a greater --size")
        bar.show(account.events, None)
        yield piece
    _demand_events(source, account)  # here, where nothing is written yet


def _demand_events(source: EventSource, account: EventAccount) -> None:
    if not account.events:
        raise TaskError(f"{source.path}: there is no event in it; was it recorded to its end?")


def _print_losses(console: Console, source: EventSource) -> None:
    if source.cut:
        console.print(f"cut: {source.cut}; read up to there")
    if source.dropped:
        console.print(f"not decoded: {', '.join(f'{n} {name}' for name, n in source.dropped.items())}")
