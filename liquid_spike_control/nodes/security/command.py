# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike security``: the policy and the keys of a graph."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ...errors import GraphError
from ...outputs import write_file
from ..graph import GraphOptions, domain_id, environment
from .permissions import permissions
from .policy import Enclaves, policy_xml

if TYPE_CHECKING:
    from ...options import KeystoreOptions, PolicyOptions, SecurityOptions


def policy_command(options: PolicyOptions) -> int:
    """Write the policy, or print it.

    Raises:
        GraphError: the graph's description does not hold together.
        OutputError: the file cannot be written.
    """
    text = policy_xml(_enclaves(options))
    if options.out is None:
        sys.stdout.write(text)
        return 0
    write_file(options.out, text)
    return 0


def keystore_command(options: KeystoreOptions) -> int:
    """Create a keystore for the graph, and print how to use it.

    Raises:
        GraphError: the folder exists, or ``cryptography`` is missing.
    """
    domain = domain_id(environment())
    enclaves = _enclaves(options)
    try:
        from .keystore import write_keystore
    except ImportError:
        raise GraphError("security keystore needs cryptography; pip install 'liquid_spike_control[security]'") from None
    write_keystore(options.folder, enclaves, domain)
    print(f"{options.folder}: keys of {len(enclaves)} processes for ROS domain {domain}; start them with")
    print(f"export ROS_SECURITY_ENABLE=true ROS_SECURITY_STRATEGY=Enforce ROS_DOMAIN_ID={domain}")
    print(f"export ROS_SECURITY_KEYSTORE={options.folder.resolve()}")
    return 0


def _enclaves(options: SecurityOptions) -> Enclaves:
    return permissions(
        GraphOptions(
            options.robot, simulated=not options.real, mode=options.mode, backend=options.backend,
            rewards=options.rewards,
        )  # fmt: skip
    )
