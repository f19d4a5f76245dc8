"""JSON log lines on stderr, with the request's and the action's id, without payloads or secrets."""

from __future__ import annotations

import logging
import re
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_HIDDEN = "[redacted]"
_SECRET_NAME = re.compile(  # of names in small letters: minding no case takes three times as long
    r"pass(word|wd)?$|secret|token|authori[sz]ation|cookie|credential|api_?key|signature|session"
)
_PAYLOAD_NAMES = frozenset({"request", "body", "params", "data", "payload", "args", "kwargs"})
_SECRETS_IN_TEXT: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[^\s\"',;]+"), rf"\1 {_HIDDEN}"),
    (re.compile(r"(?<=://)[^\s/@]+@"), f"{_HIDDEN}@"),
    (re.compile(r"(?<![A-Za-z0-9])(csk|sk|rk|pk|cs|whsec)_[A-Za-z0-9_-]{6,}"), _HIDDEN),
    # "password=hunter2", 'Password: "two words"', {'passwd': 'x'}: name, mark, value
    (
        re.compile(
            r"(?i)((?:pass(?:word|wd|phrase)?|pwd|secret|api[_-]?key|token)[\"']?\s{0,3}[:=]\s{0,3})"
            r"(?:\"[^\"]*\"?|'[^']*'?|[^\s,;&}\"']+)"
        ),
        rf"\1{_HIDDEN}",
    ),
    # PostgreSQL repeats the row it refused in its DETAIL line.
    (re.compile(r"DETAIL:.*"), f"DETAIL: {_HIDDEN}"),
)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def configure() -> None:
    """Send structlog's own loggers through the standard handlers."""
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def dict_config(level: str) -> dict[str, Any]:
    """`settings.LOGGING`: everything as JSON on stderr, without what says nothing."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "config.logs.formatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django.server": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
            # RequestIdMiddleware writes one line per request, with its id; two would be noise
            "gunicorn.access": {"level": "WARNING"},
            "gunicorn.error": {"level": level},
            "django.request": {"level": "ERROR"},
            # three lines per beat say nothing; what a task does is logged where it is done
            "celery.beat": {"level": "WARNING"},
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            # their lines carry whole addresses
            "httpx": {"level": "WARNING"},
            "stripe": {"level": "WARNING"},
        },
    }


def formatter() -> logging.Formatter:
    """The formatter of `settings.LOGGING`: one JSON object per line."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_shared(), _add_extras],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.JSONRenderer(default=repr),
        ],
    )


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _add_extras(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Take over the `extra=` of standard loggers, except whole requests and payloads."""
    record: logging.LogRecord | None = event.get("_record")
    if record is not None:
        for name, value in vars(record).items():
            if name not in _STANDARD and not name.startswith("_"):
                event.setdefault(name, value)
    return event


def redact(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Drop payloads, hide values whose name or form is a secret's."""
    return {
        name: _HIDDEN if _SECRET_NAME.search(name.lower()) else _clean(value)
        for name, value in event.items()
        if name not in _PAYLOAD_NAMES
    }


def _clean(value: Any) -> Any:
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    if isinstance(value, dict):
        return redact(None, "", value)
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    text = value if isinstance(value, str) else repr(value)
    for pattern, replacement in _SECRETS_IN_TEXT:
        text = pattern.sub(replacement, text)
    return text
