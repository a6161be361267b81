"""Where a webhook may lead. Staff choose it, who may run programs here anyway; but a cloud machine's link-local address
hands out that machine's own keys, so none is ever asked, and an installation may close its private networks too.

The name is looked up here and again when it is called: one that changes its address in between is not caught.
"""

import ipaddress
import socket
from urllib.parse import urlsplit

from django.conf import settings


class NotAllowed(ValueError):
    """The address is none that a webhook may lead to."""


def check(url: str) -> None:
    """Raises NotAllowed, or OSError where the name is not known."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    for *_, place in socket.getaddrinfo(parts.hostname or "", port, type=socket.SOCK_STREAM):
        address = ipaddress.ip_address(place[0].split("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        if address.is_link_local or address.is_multicast or address.is_unspecified:
            raise NotAllowed(f"{address} is no address that a webhook may lead to.")
        if not settings.WEBHOOKS_TO_PRIVATE_ADDRESSES and not address.is_global:
            raise NotAllowed(f"{address} is private, and WHETSTONE_WEBHOOKS_PRIVATE=0 closes those.")
