"""The environment of a production installation."""

from __future__ import annotations

PRODUCTION = {
    "DEBUG": "0",
    "DEMO": "0",
    "SECRET_KEY": "Zq8-3kV_ruXw1LmN0pTtYbC7dEhGjS5aQ2sWx4zR6vK9yUoI",
    "AUDIT_KEY": "m4Rt-XhP2_sLq9WcVb7nYk1JdG6fTz0EaU8oQiS3pCxN5wKy",
    "ALLOWED_HOSTS": "countersign.acme.net",
    "BASE_URL": "https://countersign.acme.net",
    "DATABASE_URL": "postgresql://app@db.acme.net/countersign",
    "BROKER_URL": "redis://broker.acme.net/0",
    "EMAIL_URL": "smtp://mail.acme.net:587",
    "SECURE_HSTS_SECONDS": "3600",
    "PAYMENTS_URL": "https://payments.acme.net",
    "PAYMENTS_API_KEY": "sk_live_x",
    "SMTP_URL": "smtp://mail.acme.net:587",
    "SMTP_SENDER": "service@acme.net",
    "MAIL_ARCHIVE_URL": "https://archive.acme.net",
    "RECORDS_URL": "postgresql://crm.acme.net/crm",
    "DIRECTORY_URL": "https://directory.acme.net",
    "DIRECTORY_TOKEN": "x",
    "CHANGES_URL": "https://changes.acme.net",
    "CHANGES_TOKEN": "x",
    "LOGISTICS_URL": "",
    "LOGISTICS_TOKEN": "",
}
