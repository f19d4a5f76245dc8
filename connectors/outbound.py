"""Calling an address that somebody typed: where it leads now, and nowhere else.

Such an address is written by people and resolved by somebody's name server: either may point into
our own network. The host must be on a list of this installation, its name is resolved once, every
address it has must be allowed, and the connection goes to that address. No redirect is followed,
and no proxy of the environment is used.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

import httpx

from connectors.addresses import is_loopback
from connectors.http import open_client

_NAT64 = IPv6Network("64:ff9b::/96")

Network = IPv4Network | IPv6Network


class AddressRefused(Exception):
    """Nothing is sent there, and why."""


class NotSent(Exception):
    """Nobody answered, and how it failed."""


@dataclass(frozen=True, slots=True)
class Destinations:
    """Where calls of one kind may go; `setting` is the list's name, for sentences."""

    setting: str
    hosts: Collection[str]
    """host, or host:port where that is not 443."""
    networks: Collection[Network]
    """Beside the public Internet."""


def check_address(url: str, to: Destinations) -> None:
    """Refuse what nothing may be sent to, as far as it can be seen without asking anybody.

    Raises AddressRefused.
    """
    parts = _parts(url)
    host = parts.hostname or ""
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise AddressRefused("The address may have neither a user, nor a password, nor a #.")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host) and host):
        raise AddressRefused("The address must begin with https://.")
    port = _port(parts)
    named = {host, f"{host}:{port}"} if port == 443 else {f"{host}:{port}"}
    if named.isdisjoint(to.hosts):
        raise AddressRefused(f"{host} is not among this installation's {to.setting}.")


def call(
    method: str,
    url: str,
    to: Destinations,
    *,
    seconds: float,
    headers: Mapping[str, str],
    content: bytes | None = None,
) -> httpx.Response:
    """Call it once, `seconds` in total once its name is resolved. No transaction is open.

    Raises AddressRefused, NotSent.
    """
    check_address(url, to)
    parts = _parts(url)
    host = parts.hostname or ""
    with open_client(seconds=seconds) as client:
        for address in _addresses(host, _port(parts), to):
            try:
                return client.request(
                    method,
                    httpx.URL(url).copy_with(host=str(address)),
                    content=content,
                    headers={**headers, "Host": parts.netloc},
                    extensions={"sni_hostname": host},  # the certificate is the name's
                )
            except httpx.ConnectError as error:
                problem: httpx.HTTPError = error
            except httpx.HTTPError as error:
                raise NotSent(type(error).__name__) from None
    raise NotSent(type(problem).__name__)


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _port(parts)
    except ValueError:
        raise AddressRefused("This is no address.") from None
    return parts


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _addresses(host: str, port: int, to: Destinations) -> list[IPv4Address | IPv6Address]:
    """What the name stands for now, IPv4 first. Refused as soon as one of them is not allowed."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NotSent("its name cannot be resolved") from None
    addresses = {_plain(ip_address(str(sockaddr[0]).partition("%")[0])) for *_, sockaddr in found}
    for address in addresses:
        if not is_allowed(address, to.networks):
            raise AddressRefused(f"{host} leads to {address}, which is not a public address.")
    return sorted(addresses, key=lambda address: (address.version, int(address)))


def is_allowed(address: IPv4Address | IPv6Address, networks: Collection[Network]) -> bool:
    """Public, or in one of the networks."""
    address = _plain(address)
    if any(address in network for network in networks):
        return True
    if isinstance(address, IPv6Address) and (
        address.sixtofour or address.teredo or address in _NAT64
    ):
        return False  # another address is inside
    return address.is_global and not address.is_multicast


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return getattr(address, "ipv4_mapped", None) or address
