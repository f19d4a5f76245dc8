"""Trying connections: whether each answers, with its date and what it said."""

from __future__ import annotations

import smtplib
from concurrent.futures import ThreadPoolExecutor

import httpx

from connectors.base import ConnectorError
from connectors.circuit import keep_probe
from connectors.configuration import look_at
from connectors.connections import Route, routes_in_force
from connectors.registry import card_of, connector_at


def probe(route: Route) -> str:
    """Try it now, with its credential where the system's file says how, and keep what came of it.

    A sentence, empty when it answered.
    """
    problem = _try(route) or _signed_in(route)
    keep_probe(route.name, problem)
    return problem


def probe_all() -> list[Route]:
    """Try every connection, all at once; those that did not answer. Takes one connector timeout."""
    routes = routes_in_force()
    if not routes:
        return []
    with ThreadPoolExecutor(len(routes), thread_name_prefix="probe") as pool:
        problems = list(pool.map(_try, routes))
    for route, problem in zip(routes, problems, strict=True):
        keep_probe(route.name, problem)
    return [route for route, problem in zip(routes, problems, strict=True) if problem]


def _signed_in(route: Route) -> str:
    card = card_of(route.system)
    if card is None or not card.probe or card.is_endpoint:  # an endpoint was asked already
        return ""
    try:
        connector_at(route).probe()  # type: ignore[attr-defined]  # who has a card has one
    except ConnectorError as error:
        return str(error)
    return ""


def _look(route: Route) -> None:
    """As cheap a look as the system allows: a GET of some addresses would stay open for ever."""
    card = card_of(route.system)
    if card is not None and card.is_endpoint:
        connector_at(route).probe()  # type: ignore[attr-defined]  # who has a card has one
    else:
        look_at(route.system, route.config)


def _try(route: Route) -> str:
    """Asks nothing of the database: it runs in threads of its own."""
    if route.problem:
        return route.problem
    try:
        _look(route)
    except ConnectorError as error:
        return str(error)
    except (httpx.HTTPError, OSError, smtplib.SMTPException) as error:
        return f"It does not answer ({type(error).__name__})."  # the words may hold a password
    return ""
