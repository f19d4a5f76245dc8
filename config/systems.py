"""The outside systems connectors talk to, from the environment. Agents never hold these values.

What is left out or empty is a system this installation does not have, and which offers no action
types; where the sandbox is wanted, what is left out leads there.
"""

from __future__ import annotations

from config.env import VAR_DIR, env


def systems_from_environment(*, sandbox: bool, first_port: int) -> dict[str, dict[str, str]]:
    """`settings.CONNECTORS`; `sandbox` is for DEBUG and DEMO."""

    def value(name: str, of_sandbox: str) -> str:
        found: str = env.str(name, of_sandbox if sandbox else "")
        return found

    def address(name: str, port: int, scheme: str = "http") -> str:
        return value(name, f"{scheme}://127.0.0.1:{first_port + port}")

    return {
        "payments": {
            "base_url": address("PAYMENTS_URL", 0),
            "api_key": value("PAYMENTS_API_KEY", "sk_test_sandbox"),
        },
        "email": {
            "url": address("SMTP_URL", 1, "smtp"),
            "sender": value("SMTP_SENDER", "service@retailer.example"),
            "archive_url": address("MAIL_ARCHIVE_URL", 2),
        },
        "records": {"url": value("RECORDS_URL", f"sqlite:///{VAR_DIR / 'records.sqlite3'}")},
        "directory": {
            "base_url": address("DIRECTORY_URL", 3),
            "token": value("DIRECTORY_TOKEN", "directory-sandbox"),
        },
        "changes": {
            "base_url": address("CHANGES_URL", 4),
            "token": value("CHANGES_TOKEN", "changes-sandbox"),
        },
        "logistics": {
            "base_url": address("LOGISTICS_URL", 5),
            "token": value("LOGISTICS_TOKEN", "logistics-sandbox"),
        },
    }
