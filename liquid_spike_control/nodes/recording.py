# SPDX-License-Identifier: Apache-2.0
"""A recording of a graph: topics as they were serialised, and how the graph was set up, into one MCAP file."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, ListParameters
from rclpy.node import Node
from rclpy.task import Future

from ..records.mcap_file import McapFile, file_hash
from . import graph
from .capture import Capture

#: What a crash of the recorder can lose, besides what was not drained [s].
FLUSH_S = 0.5
#: Between two looks for new topics and nodes [s].
DISCOVER_S = 0.5
#: A node that has not reported its parameters for so long is asked again [s].
ANSWER_S = 1.0
#: Parameters that name model files.
MODELS = ("perception_model", "controller_model", "model")
#: The field of a ParameterValue that each type's value is in.
_FIELDS = {
    ParameterType.PARAMETER_BOOL: "bool_value",
    ParameterType.PARAMETER_INTEGER: "integer_value",
    ParameterType.PARAMETER_DOUBLE: "double_value",
    ParameterType.PARAMETER_STRING: "string_value",
    ParameterType.PARAMETER_BYTE_ARRAY: "byte_array_value",
    ParameterType.PARAMETER_BOOL_ARRAY: "bool_array_value",
    ParameterType.PARAMETER_INTEGER_ARRAY: "integer_array_value",
    ParameterType.PARAMETER_DOUBLE_ARRAY: "double_array_value",
    ParameterType.PARAMETER_STRING_ARRAY: "string_array_value",
}


class Description:
    """The parameters of all nodes, requested until each has reported them, and the hashes of the model files that they
    name.

    Args:
        node: spun by the caller, so that answers come in; it is not asked itself.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._asked: dict[str, list] = {}
        self._since: dict[str, float] = {}
        self.nodes: dict[str, dict[str, Any]] = {}
        self.models: dict[str, str] = {}
        self.changed = False

    def ask(self) -> None:
        """Ask the nodes that have not answered and can be asked: an answer is lost where the middleware has not yet
        connected both ways.
        """
        now = time.monotonic()
        for name, namespace in self._node.get_node_names_and_namespaces():
            path = f"{namespace.rstrip('/')}/{name}"
            if path in self.nodes or path == self._node.get_fully_qualified_name():
                continue
            if now - self._since.get(path, -ANSWER_S) < ANSWER_S:
                continue
            for client in self._asked.pop(path, []):
                self._node.destroy_client(client)
            clients = [
                self._node.create_client(service, f"{path}/{service_name}")
                for service, service_name in ((ListParameters, "list_parameters"), (GetParameters, "get_parameters"))
            ]
            if not all(client.service_is_ready() for client in clients):
                for client in clients:
                    self._node.destroy_client(client)
                continue
            self._asked[path], self._since[path] = clients, now
            listed = clients[0].call_async(ListParameters.Request())
            listed.add_done_callback(lambda future, path=path: self._on_names(path, future))

    def _on_names(self, path: str, future: Future) -> None:
        if future.exception() is None:
            self._get(path, list(future.result().result.names))

    def _get(self, path: str, names: list[str]) -> None:
        if path not in self._asked:
            return  # it is asked again
        got = self._asked[path][1].call_async(GetParameters.Request(names=names))
        got.add_done_callback(lambda future: self._on_values(path, names, future))

    def _on_values(self, path: str, names: list[str], future: Future) -> None:
        values = list(future.result().values) if future.exception() is None else []
        if len(values) == len(names):
            self.add(path, dict(zip(names, map(_plain, values), strict=True)))
        elif len(names) > 1:  # rclpy returns none of them if one has no value
            half = len(names) // 2
            self._get(path, names[:half])
            self._get(path, names[half:])

    def add(self, path: str, values: dict[str, Any]) -> None:
        """Add some of a node's parameters, and hash the model files that they name, if this machine has them."""
        self.nodes[path] = self.nodes.get(path, {}) | values
        for name in MODELS:
            file = values.get(name)
            if isinstance(file, str) and Path(file).is_file():
                self.models[name] = file_hash(file)
        self.changed = True


def _plain(value: ParameterValue) -> Any:
    """A parameter as JSON has it; what is not set is null."""
    if value.type not in _FIELDS:
        return None
    content = getattr(value, _FIELDS[value.type])
    return content if isinstance(content, bool | int | float | str) else list(content)


class Recording:
    """Records from now on, whenever it is polled.

    Args:
        output: the file.
        node: see :class:`Description`.
        topics: names that are recorded, from :data:`graph.TOPICS`; they are subscribed to immediately, before any node
            publishes.
        types: of the topics, if not in :data:`graph.TOPICS`.
        discover: also record other topics as they appear: those named, or all where the set is empty.

    Attributes:
        counts: messages a topic.
        skipped: topics that cannot be recorded, and their types.

    Raises:
        LiquidSpikeError: the file exists or cannot be written.
    """

    def __init__(
        self, output: Path, node: Node, topics: tuple[str, ...] = (), discover: set[str] | None = None,
        types: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.file = McapFile(output)
        self.description = Description(node)
        self.counts: Counter[str] = Counter()
        self.skipped: dict[str, str] = {}
        self._capture = Capture(graph.CAPTURE, topics, types)
        self._kinds = {topic: _kind(message) for topic, message in self._capture.types.items()}
        self._discover = discover
        self._flushed = self._discovered = 0.0

    def matched(self) -> bool:
        """Whether every topic given at the start has its publisher."""
        return self._capture.matched()

    def look(self, now: bool = False) -> None:
        """Ask nodes, renew subscriptions and find new topics; at most every :data:`DISCOVER_S`, but for ``now``."""
        if not now and time.monotonic() - self._discovered < DISCOVER_S:
            return
        self._discovered = time.monotonic()
        self.description.ask()
        self._capture.resubscribe()
        if self._discover is None:
            return
        for topic, kinds in self._capture.node.get_topic_names_and_types():
            if topic in self._kinds or topic in self.skipped or (self._discover and topic not in self._discover):
                continue
            if not self._capture.node.count_publishers(topic):
                continue
            if len(kinds) == 1 and self.file.knows(kinds[0]):
                try:
                    self._capture.add(topic, kinds[0])
                    self._kinds[topic] = kinds[0]
                    continue
                except (ImportError, AttributeError):
                    pass
            self.skipped[topic] = ", ".join(kinds)

    def poll(self) -> None:
        """Write what has come, in the order of publication."""
        for topic, stamp_ns, data in sorted(self._capture.drain(), key=lambda taken: taken[1]):
            self.file.write(topic, self._kinds[topic], stamp_ns, data)
            self.counts[topic] += 1
        if self.description.changed:
            self.description.changed = False
            description = {"nodes": self.description.nodes, "models": self.description.models}
            self.file.write_graph(time.time_ns(), description)
        if time.monotonic() - self._flushed > FLUSH_S:
            self._flushed = time.monotonic()
            self.file.flush()

    def close(self) -> None:
        """Write what is left and the summary, with the models' hashes."""
        self.poll()
        self.file.close(self.description.models)
        self._capture.close()


def _kind(message: type) -> str:
    return f"{message.__module__.split('.')[0]}/msg/{message.__name__}"


