"""When policy work happens: ids in, one service call each, no decision here."""

from __future__ import annotations

from celery import shared_task

from policies.services import backtests

REPLAY_SECONDS = 600
"""A replay calls nobody and gives a sign of life with every batch; it may take its time."""


@shared_task(name=backtests.TASK, time_limit=REPLAY_SECONDS)
def run_backtest(backtest_id: str) -> None:
    """Carry out a replay that waits."""
    backtests.run_backtest(int(backtest_id))
