"""One settings module; the environment decides. See `config.env` and README, section Settings."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from celery.schedules import schedule

from config import logs, queues
from config.env import (
    BASE_DIR,
    VAR_DIR,
    a_key,
    a_port,
    a_rate,
    a_secret,
    broker_url,
    email_settings,
    env,
    log_level,
    networks,
    sweep_seconds,
    systems_from_environment,
    systems_named,
    time_zone,
)
from config.theme import UNFOLD as UNFOLD

# --- What differs between deployments -------------------------------------------------------

DEBUG = env.bool("DEBUG", False)
DEMO = env.bool("DEMO", False)  # loopback only: plain-HTTP cookies, sandbox addresses

SECRET_KEY = a_secret("SECRET_KEY", needed=not DEBUG)
AUDIT_KEY = a_secret("AUDIT_KEY", needed=not DEBUG)
AUDIT_RETIRED_KEYS: list[str] = env.list("AUDIT_RETIRED_KEYS", [])
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", [])

DATABASES: dict[str, dict[str, Any]] = {
    "default": env.dj_db_url("DATABASE_URL", f"sqlite:///{VAR_DIR / 'countersign.sqlite3'}")
}
_database = DATABASES["default"]
# Who owns the tables, for `migrate` and `harden_database` only; empty: DATABASE_URL does.
DATABASE_OWNER: dict[str, Any] = (
    env.dj_db_url("DATABASE_OWNER_URL") if env.str("DATABASE_OWNER_URL", "") else {}
)
IS_POSTGRES = _database["ENGINE"].endswith("postgresql")
# Threads of one web process: long polls may take half, reads of outside systems all but one of
# the others. No more than the connections of a pool, else a thread waits for one.
WEB_THREADS = 8
# PgBouncer or the like hands every transaction another session: none remembers what it prepared.
DATABASE_TRANSACTION_POOLER: bool = env.bool("DATABASE_TRANSACTION_POOLER", False)
if IS_POSTGRES:
    # Prepared statements halve the database's CPU. The ORM's are only prepared when their
    # values are bound by the server.
    _database["OPTIONS"] = _database.get("OPTIONS", {}) | {
        "server_side_binding": not DATABASE_TRANSACTION_POOLER,
        "prepare_threshold": env.int(
            "DATABASE_PREPARE_THRESHOLD", None if DATABASE_TRANSACTION_POOLER else 3
        ),
        "connect_timeout": 5,
    }
    if not DATABASE_TRANSACTION_POOLER:  # which takes no settings of a session
        # Pages and intake read a few rows by index. Compiling a statement, starting parallel
        # workers, or reading a table because disks are slow to seek, each costs more than that.
        planned = "-c jit=off -c max_parallel_workers_per_gather=0 -c random_page_cost=1.1"
        given = _database["OPTIONS"].get("options", "")
        _database["OPTIONS"]["options"] = f"{planned} {given}".rstrip()
    # A cursor of the server's outlives the transaction it was opened in; its session may not.
    _database["DISABLE_SERVER_SIDE_CURSORS"] = DATABASE_TRANSACTION_POOLER
    if env.bool("DATABASE_POOL", False):
        # A worker's process needs one. After a restart of the database the pool throws dead ones
        # away more and more slowly: four of them cost seven seconds.
        _database["OPTIONS"]["pool"] = {"min_size": 1, "max_size": WEB_THREADS}
    else:
        _database["CONN_MAX_AGE"] = env.int("DATABASE_CONN_MAX_AGE", 60)
    _database["CONN_HEALTH_CHECKS"] = True  # a connection that died is found before it is used
else:
    # IMMEDIATE takes the write lock first, which is what FOR UPDATE means on SQLite;
    # recursive_triggers lets no INSERT OR REPLACE pass the append-only triggers.
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA recursive_triggers=ON;"
        ),
    }
    # A file, not memory: threads and child processes of the tests must be able to meet in it.
    _database["TEST"] = {"NAME": str(VAR_DIR / "test.sqlite3")}
    VAR_DIR.mkdir(parents=True, exist_ok=True)

BROKER_URL = broker_url("filesystem://")

vars().update(email_settings("console://"))
DEFAULT_FROM_EMAIL: str = env.str("DEFAULT_FROM_EMAIL", "countersign@localhost")
BIND_HOST: str = env.str("BIND_HOST", "127.0.0.1")
PORT = a_port("PORT", 8000)
BASE_URL: str = env.str("BASE_URL", f"http://127.0.0.1:{PORT}")

SANDBOX_PORT_BASE = env.int("SANDBOX_PORT_BASE", PORT + 11)
# Folders with files of further systems, each one <system>.yaml.
SYSTEMS_PATH = tuple(folder for folder in env.str("SYSTEMS_PATH", "").split(os.pathsep) if folder)
# Which of the product's files of vendors there are here; those with a <SYSTEM>_URL need no naming.
SYSTEMS = systems_named(SYSTEMS_PATH)
CONNECTORS = systems_from_environment(
    SYSTEMS_PATH, SYSTEMS, sandbox=DEBUG or DEMO, first_port=SANDBOX_PORT_BASE
)
TRUSTED_RELAYS: list[str] = env.list("TRUSTED_RELAYS", [])
# The one folder in which files hold credentials of connections; empty: no file is read.
CREDENTIALS_DIR = env.str("CREDENTIALS_DIR", "")
# With it tokens of outside systems are kept encrypted; empty: no system that gives tokens is used.
CREDENTIALS_KEY = a_secret("CREDENTIALS_KEY", needed=False) if DEBUG else a_key("CREDENTIALS_KEY")
CREDENTIALS_RETIRED_KEYS: list[str] = env.list("CREDENTIALS_RETIRED_KEYS", [])
# The only hosts (or host:port) webhooks go to; networks (CIDR) beside the public Internet.
WEBHOOK_HOSTS: list[str] = env.list("WEBHOOK_HOSTS", [])
WEBHOOK_NETWORKS = networks(env.list("WEBHOOK_NETWORKS", []))
# The only hosts (or host:port) asked for keys of token issuers; networks as above.
OIDC_HOSTS: list[str] = env.list("OIDC_HOSTS", [])
OIDC_NETWORKS = networks(env.list("OIDC_NETWORKS", []))
# AuthZEN and its Access Request and Approval Profile: experimental, as the draft is.
AUTHZEN: bool = env.bool("AUTHZEN", False)
CONNECTOR_TIMEOUT = timedelta(seconds=env.int("CONNECTOR_TIMEOUT_SECONDS", 8))

# --- Django -----------------------------------------------------------------------------------

INSTALLED_APPS = [
    "config.apps.ConfigConfig",
    "unfold.apps.BasicAppConfig",  # the site is ours: config.admin_site
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "config.apps.CountersignAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "config.apps.StaticFilesConfig",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "simple_history",
    "audit",
    "policies",
    "connectors",
    "approvals",
]

AUTHENTICATION_BACKENDS = ["policies.backend.OneStatementBackend"]

MIDDLEWARE = [
    "config.middleware.RequestIdMiddleware",
    "config.middleware.ContentSecurityPolicyMiddleware",
    "config.middleware.ProbeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.middleware.CompressedPagesMiddleware",
    "config.middleware.NulByteMiddleware",
    "config.middleware.ApiSlashMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.middleware.DatabaseOutageMiddleware",
    "config.middleware.OneLookMiddleware",
    "config.middleware.ViewerZoneMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

AUTH_USER_MODEL = "policies.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
PASSWORD_RESET_TIMEOUT = int(timedelta(days=1).total_seconds())
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en-gb"
TIME_ZONE = time_zone("Europe/Berlin")
USE_TZ = True
FORMAT_MODULE_PATH = "config.formats"

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
# Straight from the packages; or collected by `manage.py up`, compressed and named by their content.
WHITENOISE_USE_FINDERS = env.bool("STATIC_FROM_PACKAGES", DEBUG)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if WHITENOISE_USE_FINDERS
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# A Redis that is away is an empty cache, and nobody waits for it: nothing is only in the cache.
REDIS_CACHE: dict[str, Any] = {
    "BACKEND": "django_redis.cache.RedisCache",
    "LOCATION": BROKER_URL,
    "OPTIONS": {"IGNORE_EXCEPTIONS": True, "SOCKET_CONNECT_TIMEOUT": 1, "SOCKET_TIMEOUT": 1},
}
DJANGO_REDIS_LOG_IGNORED_EXCEPTIONS = True
DJANGO_REDIS_LOGGER = "countersign.cache"
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        # of Django's 300 anybody could push counts of wrong passwords out with made-up names
        "OPTIONS": {"MAX_ENTRIES": 50_000},
    }
}
if BROKER_URL.startswith(("redis://", "rediss://")):
    CACHES["default"] = REDIS_CACHE

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not (DEBUG or DEMO)
SESSION_COOKIE_AGE = int(timedelta(hours=10).total_seconds())
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_TLS_PROXY", False) else None
)
# How many proxies of ours append to X-Forwarded-For. 0: nobody does, and it is not believed.
PROXY_HOPS = env.int("PROXY_HOPS", 1 if SECURE_PROXY_SSL_HEADER else 0)
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", False)
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", 0)
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

# --- API --------------------------------------------------------------------------------------

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["approvals.api.authentication.AgentAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["approvals.api.authentication.IsAgent"],
    "DEFAULT_PARSER_CLASSES": ["approvals.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    # No OPTIONS: the answer would be guessed from serializers our views do not declare. The
    # OpenAPI document says what may be called.
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_THROTTLE_CLASSES": ["approvals.api.authentication.AgentThrottle"],
    "DEFAULT_THROTTLE_RATES": {
        "agent": a_rate("AGENT_RATE", "600/min"),
        "wrong_key": a_rate("WRONG_KEY_RATE", "30/min"),  # per address
    },
    "EXCEPTION_HANDLER": "config.problems.problem_handler",
    "UNAUTHENTICATED_USER": None,
}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Countersign",
    "DESCRIPTION": "Propose bounded actions; people with the authority decide.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "approvals.api.documentation.describe",
    ],
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "PolicyVerdict": "approvals.api.output.VERDICTS",
        "DecisionVerdict": "approvals.choices.DecisionVerdict",
        "RequestState": "approvals.choices.State",
        "RequestOutcome": "approvals.api.output.OUTCOMES",
        "ExecutionState": "approvals.choices.ExecutionState",
    },
}

# --- Celery -----------------------------------------------------------------------------------

CELERY_BROKER_URL = BROKER_URL
if BROKER_URL.startswith("filesystem"):
    CELERY_BROKER_URL = "filesystem://localhost//"  # kombu warns when no host is named
    CELERY_BROKER_TRANSPORT = "config.embedded_broker:Transport"
    _broker_dir = VAR_DIR / "broker"
    for _folder in ("messages", "control", "processed"):  # kombu expects them to be there
        (_broker_dir / _folder).mkdir(parents=True, exist_ok=True)
    CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # broadcasts would pile up as files
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {
        "data_folder_in": str(_broker_dir / "messages"),
        "data_folder_out": str(_broker_dir / "messages"),
        "control_folder": str(_broker_dir / "control"),
        "processed_folder": str(_broker_dir / "processed"),
        "store_processed": False,
        "polling_interval": 0.25,
    }
else:
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "max_retries": 0,  # of a sender: it would hold up a person's click for seconds
        "queue_order_strategy": "config.queues:ExecutionsFirst",
    }
CELERY_TASK_QUEUES = queues.QUEUES
CELERY_TASK_DEFAULT_QUEUE = queues.REST
CELERY_TASK_ROUTES = queues.ROUTES
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_BACKEND = None
CELERY_TASK_ACKS_LATE = False  # the lease recovers, not the broker
CELERY_TASK_REJECT_ON_WORKER_LOST = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_TIME_LIMIT = env.int("TASK_TIME_LIMIT_SECONDS", 40)  # under EXECUTION_LEASE
# Celery closes the connection around every task otherwise; `config.celery` replaces dead ones.
CELERY_DB_REUSE_MAX = 1000
CELERY_TASK_PUBLISH_RETRY = False  # the row is the outbox: a lost message loses nothing
SWEEP_SECONDS = sweep_seconds(5.0)
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "approvals.sweep", "schedule": schedule(timedelta(seconds=SWEEP_SECONDS))},
    "watch": {"task": "approvals.watch", "schedule": schedule(timedelta(minutes=1))},
}
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "beat-schedule")

# An attempt's lease: longer than the connector's timeout and the task's hard limit together.
EXECUTION_LEASE = timedelta(seconds=env.int("EXECUTION_LEASE_SECONDS", 45))
EXECUTION_MAX_ATTEMPTS = env.int("EXECUTION_MAX_ATTEMPTS", 5)

# The newest event, remembered outside the database, so that a restored backup is noticed. On
# another disk than the database: what is restored together with it remembers nothing.
NEWEST_EVENT_FILE = env.str("NEWEST_EVENT_FILE", str(VAR_DIR / "newest-event.json"))

# What amounts of several currencies are added up in (ISO 4217); changing it changes old sums.
BASE_CURRENCY = env.str("BASE_CURRENCY", "EUR")

# Policy replays past cases and knows the action types without knowing who keeps them.
POLICY_PAST_CASES = "approvals.selectors.past_cases"  # a policies.replay.backtest.PastCases
POLICY_ACTION_TYPES = "connectors.registry.action_types"

# --- Logging ----------------------------------------------------------------------------------

LOG_LEVEL = log_level("INFO")
LOGGING = logs.dict_config(LOG_LEVEL)
