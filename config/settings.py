"""Django's settings. Everything that differs between installations comes from the environment."""

import os
import sys
from pathlib import Path

import dj_database_url
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from kombu import Queue

from config import bootstrap, broker, installation, postgres
from sampling.kept_secrets import kept_secret

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("WHETSTONE_VAR", BASE_DIR / "var")).resolve()
VAR_DIR.mkdir(parents=True, exist_ok=True)

DEBUG = os.environ.get("DEBUG", "") in ("1", "true", "yes")
SECRET_KEY = os.environ.get("SECRET_KEY") or kept_secret(VAR_DIR / "secret_key")
# Annotators' pseudonyms are made with it: unlike SECRET_KEY it must stay, or they would be others in each export.
PSEUDONYM_KEY = os.environ.get("PSEUDONYM_KEY") or kept_secret(VAR_DIR / "pseudonym_key", first=SECRET_KEY)
HTTPS_ONLY = os.environ.get("HTTPS_ONLY", "") in ("1", "true", "yes")
# This machine always: the simulated annotators, and whoever looks whether the site answers, come from here.
ALLOWED_HOSTS = [*installation.listed(os.environ.get("ALLOWED_HOSTS", "")), "localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = installation.trusted_origins(
    os.environ.get("CSRF_TRUSTED_ORIGINS", ""), ALLOWED_HOSTS, HTTPS_ONLY
)
if HTTPS_ONLY:
    # TLS ends at a proxy. It must overwrite this header in every request: what a browser sends there is a claim.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "django_htmx",
    "csp",
    "drf_spectacular",  # its templates; rest_framework's own pages are not used
    "drf_spectacular_sidecar",  # the documentation's browser code, as a package ships it
    "config",
    "sampling",
    "annotation",
    "training",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
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

# PostgreSQL: the server named by DATABASE_URL, or the bundled one in the data folder.
if database_url := os.environ.get("DATABASE_URL"):
    DATABASES = {"default": dj_database_url.parse(database_url)}
    if DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
        raise ImproperlyConfigured(
            f"DATABASE_URL names {DATABASES['default']['ENGINE']}; Whetstone runs on PostgreSQL 14 or newer only. "
            "Use postgres://user:password@host:5432/name, or unset it for the bundled server."
        )
else:
    DATABASES = {"default": postgres.bundled_database(VAR_DIR / "postgres")}
DATABASES["default"].setdefault("OPTIONS", {})
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True  # a restarted database costs one request, not the process
DATABASES["default"]["CONN_MAX_AGE"] = 60
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The rows are the truth and messages only hints (sampling/long_tasks.py): no results, no events, early acknowledgement.
CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL") or broker.OWN_DATABASE
CELERY_BROKER_TRANSPORT_OPTIONS = broker.transport_options(CELERY_BROKER_URL, DATABASES["default"])
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker outlives any restart of the database
# Says that late-acknowledged tasks are stopped when the connection is lost; there are none here.
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_QUEUES = (Queue("default"), Queue("accelerator"))
CELERY_TASK_ROUTES = {
    name: {"queue": "accelerator"} for name in ("sampling.tasks.run_sampling", "training.tasks.run_round")
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1  # what waits in a busy worker, no other worker can take
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # to cancel is an intent stored in the row
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULE = {
    # An announcement that nobody took in time is void: the next one says the same.
    name: {"task": name, "schedule": 10.0, "options": {"expires": 30}}
    for name in (
        "sampling.tasks.reap",
        "sampling.tasks.deliver_webhooks",
        "annotation.tasks.reap",
        "training.tasks.reap",
    )
}
for name in ("sampling.tasks.forget_old", "annotation.tasks.forget_old"):
    CELERY_BEAT_SCHEDULE[name] = {"task": name, "schedule": 3600.0}
WEBHOOKS_TO_PRIVATE_ADDRESSES = os.environ.get("WHETSTONE_WEBHOOKS_PRIVATE", "1") not in ("0", "false", "no")
# What can be imported, and which class keeps it (sampling/importing/stores.py).
IMPORT_STORES = {
    "prompts": "sampling.importing.prompts.PromptStore",
    "completions": "sampling.importing.completions.CompletionStore",
    "judgments": "annotation.importing.judgments.JudgmentStore",
}
# Where training curves go beside TensorBoard's files, which are always written: "wandb", "trackio", or both.
TRACKERS = os.environ.get("WHETSTONE_TRACKERS", "").replace(",", " ").split()
# For the rounds' programs: the device that the packages of this environment are for.
HAS_GPU = bootstrap.device_of(
    bootstrap.Stamp(Path(sys.prefix) / bootstrap.STAMP), os.environ.get("WHETSTONE_DEVICE", "")
) == "gpu"  # fmt: skip
TRAINING_PROCESSES = installation.training_processes(os.environ.get("WHETSTONE_TRAINING_PROCESSES", "1"))
VLLM_URLS = installation.listed(os.environ.get("VLLM_URLS", ""))

# The API (sampling/rest/): JSON only, every error a problem detail, one schema.
REST_FRAMEWORK = {
    "EXCEPTION_HANDLER": "sampling.rest.problems.handler",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["sampling.rest.reading.BoundedJson"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "sampling.rest.reading.AlwaysJson",
    "DEFAULT_PAGINATION_CLASS": "sampling.rest.pages.Pages",
    "DEFAULT_FILTER_BACKENDS": ["sampling.rest.filtering.AllowListedFilters"],
    "DEFAULT_SCHEMA_CLASS": "sampling.rest.schema.Described",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Whetstone",
    "DESCRIPTION": "Prompts in, judgments, datasets and policies out: everything that the pages do.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "COMPONENT_SPLIT_REQUEST": True,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SCHEMA_PATH_PREFIX": "/api/",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums", "sampling.rest.schema.with_problems",
    ],
    "ENUM_NAME_OVERRIDES": {
        "TaskState": "sampling.long_tasks.TaskState",
        "StageState": "training.models.StageState",
        "DeliveryState": "sampling.models.DeliveryState",
        "AssignmentState": "annotation.models.AssignmentState",
        "AssignmentKind": "annotation.api.showing.KINDS",
        "JudgeKind": "annotation.models.JudgeKind",
        "MemberKind": "annotation.api.members.KINDS",
        "StageKind": "training.models.StageKind",
        "Role": "annotation.models.Role",
        "ModelRole": "sampling.models.ModelRole",
        "TurnRole": "sampling.api.prompts.ROLES",
        "Purpose": "annotation.models.Purpose",
        "KnownPurpose": "annotation.api.comparisons.KNOWN_PURPOSES",
        "QualificationSet": "annotation.api.members.STATES",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "ENABLE_DJANGO_DEPLOY_CHECK": False,
}  # fmt: skip

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "annotation:home"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "config.static_files.StaticFiles"},
}

# What a model wrote is shown in these pages: nothing but our own files may run or load.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS_ONLY
DATA_UPLOAD_MAX_MEMORY_SIZE = 20 * 1024 * 1024
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {"not_periodic": {"()": "config.celery.NotPeriodic"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["not_periodic"]}},
    "loggers": {
        "pgmq": {"level": "WARNING"},
        "kombu.connection": {"level": "ERROR"},  # that pgmq:// names no host is meant so
    },
    "root": {"handlers": ["console"], "level": os.environ.get("LOG_LEVEL", "INFO")},
}
