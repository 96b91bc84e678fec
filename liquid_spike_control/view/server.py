# SPDX-License-Identifier: Apache-2.0
"""Serves the page of a view: on this machine only, to those who have the link with its token.

Everything that changes goes to the page as server-sent events, and what a person asks for comes back as small posts, so
that the standard library's server is enough. A page of another site can neither read the data nor give an order: the
token is in no cookie, and requests under another host's name are refused.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from ..errors import OutputError
from ..outputs import plain
from ..resources import PACKAGE
from .sample import MOST_IMPULSE, ORDERS, Order
from .screen import Screen

#: Updates a second.
RATE_HZ = 20.0
#: The most that an order may be long [bytes].
_MOST = 4096
_FILES = {"/": ("page.html", "text/html"), "/page.js": ("page.js", "text/javascript"),
          "/solid.js": ("solid.js", "text/javascript"), "/page.css": ("page.css", "text/css")}  # fmt: skip
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'"


class PageServer:
    """A page about a run; a context manager that serves in threads of its own.

    Args:
        screen: what is shown.
        give: is called with each order, in a thread of the server; may raise ``ValueError`` with what is wrong.
        port: of the page; any free one if 0.
        orders: what may be asked for.

    Attributes:
        token: that a request must have.
        opened_pages: how many pages have taken updates.

    Raises:
        OutputError: the port cannot be listened on.
    """

    def __init__(
        self, screen: Screen, give: Callable[[Order], None], port: int = 0, orders: Sequence[str] = ORDERS
    ) -> None:
        self.token = secrets.token_urlsafe(24)
        self.opened_pages = 0
        self._orders = tuple(orders)
        self._screen, self._give = screen, give
        self._update: tuple[int, bytes] = (0, b"")
        self._news = threading.Condition()
        self._closed = False
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        except OSError as error:
            raise OutputError(f"--port {port}: cannot be listened on ({error.strerror}); give another") from None
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]

    @property
    def link(self) -> str:
        """What is to be opened in a browser."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    def __enter__(self) -> PageServer:
        threading.Thread(target=self._server.serve_forever, args=(0.2,), daemon=True).start()
        threading.Thread(target=self._refresh, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._closed = True
        with self._news:
            self._news.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def _refresh(self) -> None:
        """Make the updates, one for all pages."""
        while not self._closed:
            time.sleep(1 / RATE_HZ)
            update = _json(self._screen.update())
            with self._news:
                self._update = self._update[0] + 1, update
                self._news.notify_all()

    def updates(self):
        """Each update from now on, as JSON; it ends when the server is closed."""
        with self._news:
            self.opened_pages += 1
        seen = self._update[0]
        while not self._closed:
            with self._news:
                while self._update[0] == seen and not self._closed:
                    self._news.wait(1.0)
                seen, update = self._update
            if update and not self._closed:
                yield update

    def order(self, data: bytes) -> None:
        """Check an order and give it.

        Raises:
            ValueError: it is not one; the message says why.
        """
        try:
            order = msgspec.json.decode(data, type=Order)
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from None
        if order.do not in self._orders:
            raise ValueError(f"do: '{order.do}'; give one of {', '.join(self._orders)}")
        if not all(abs(part) <= MOST_IMPULSE for part in order.impulse):
            raise ValueError(f"impulse: {order.impulse}; give at most {MOST_IMPULSE} N s")
        if not abs(order.value) < 1e9:
            raise ValueError(f"value: {order.value}; give a finite number")
        if order.do in ("watch", "unwatch"):
            self._screen.watch(order.name, order.value, order.do == "watch")
        else:
            self._give(order)

    def description(self) -> bytes:
        """What a page must know once, as JSON."""
        return _json(self._screen.describe())


def _json(value: Any) -> bytes:
    return json.dumps(plain(value), separators=(",", ":"), allow_nan=False).encode()


def _handler(page: PageServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version, sys_version = "liquid-spike", ""

        def do_GET(self) -> None:
            """The page, its parts, the description and the updates."""
            path = self._allowed()
            if path is None:
                return
            if path == "/description":
                self._send(HTTPStatus.OK, page.description(), "application/json")
            elif path == "/updates":
                self._stream()
            elif path in _FILES:
                name, kind = _FILES[path]
                text = files(f"{PACKAGE}.view").joinpath(name).read_text(encoding="utf-8")
                self._send(HTTPStatus.OK, text.replace("@TOKEN@", page.token).encode(), f"{kind}; charset=utf-8")
            else:
                self._send(HTTPStatus.NOT_FOUND, b"no such page\n")

        def do_POST(self) -> None:
            """An order."""
            path = self._allowed()
            if path is None:
                return
            length = self.headers.get("Content-Length", "")
            if path != "/order" or not length.isdecimal() or int(length) > _MOST:
                self.close_connection = True
                self._send(HTTPStatus.BAD_REQUEST, b"no order\n")
                return
            try:
                page.order(self.rfile.read(int(length)))
            except ValueError as error:
                self._send(HTTPStatus.BAD_REQUEST, f"{error}\n".encode())
                return
            self._send(HTTPStatus.OK, b"{}", "application/json")

        def _allowed(self) -> str | None:
            """The path, where the request may see it; else it is refused."""
            parts = urlsplit(self.path)
            token = parse_qs(parts.query).get("token", [""])[0]
            host = self.headers.get("Host", "").rpartition(":")[0]
            if host not in ("127.0.0.1", "localhost") or not hmac.compare_digest(token.encode(), page.token.encode()):
                self.close_connection = True
                self._send(HTTPStatus.FORBIDDEN, b"open the link that liquid-spike printed, with its token\n")
                return None
            return parts.path

        def _send(self, status: HTTPStatus, body: bytes, kind: str = "text/plain") -> None:
            self.send_response(status)
            self._headers(kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _headers(self, kind: str) -> None:
            for name, value in (
                ("Content-Type", kind), ("Cache-Control", "no-store"), ("Content-Security-Policy", _POLICY),
                ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"),
            ):  # fmt: skip
                self.send_header(name, value)

        def _stream(self) -> None:
            self.close_connection = True
            self.send_response(HTTPStatus.OK)
            self._headers("text/event-stream")
            self.end_headers()
            try:
                for update in page.updates():
                    self.wfile.write(b"data: " + update + b"\n\n")
            except OSError:
                pass  # the page was closed

        def log_message(self, *_) -> None:
            """Nothing: a terminal shows the run."""

    return Handler
