"""Every setting; the environment makes the difference between machines.

`.env.example` names and explains every variable that is read here.
"""

from datetime import timedelta

from corsheaders.defaults import default_headers
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from config.environment import (
    BASE_DIR,
    LEAST_TIME,
    MOST_DAYS,
    VAR_DIR,
    address,
    admin_secret,
    allowed_hosts,
    amount,
    choice,
    database_url,
    email_verification,
    env,
    file_storage,
    is_production,
    jwt_issuers,
    mail,
    media_url,
    port,
    public_url,
    rate,
    required_roles,
    secret,
    whole,
)
from config.secrecy import password_in

# Where it runs

PRODUCTION = is_production()
DEBUG = env.bool("DEBUG", default=False)
HOST = env.str("HOST", default="127.0.0.1")
PORT = port()
PUBLIC_URL = public_url(HOST, PORT)
SECRET_KEY = secret("SECRET_KEY")
ALLOWED_HOSTS = allowed_hosts(HOST, PUBLIC_URL)
TRUSTED_PROXY_HOPS = whole("TRUSTED_PROXY_HOPS", 0)
DRAIN_SECONDS = amount("DRAIN_SECONDS", 20)

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"

INSTALLED_APPS = [
    "config.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "channels",
    "corsheaders",
    "csp",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "template_partials",
    "config",
    "accounts",
    "llm",
    "characters",
    "conversations",
]

MIDDLEWARE = [
    # Around all others, whose time counts as well.
    "config.middleware.measure",
    # Then this, so that whatever answers, a refused host included, bears the policy.
    "csp.middleware.CSPMiddleware",
    "config.middleware.harden",
    "config.middleware.trace",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Before what refuses: other sites' pages have to read it, and people as well.
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "config.middleware.outage",
    "config.middleware.limit_body",
    "config.middleware.refuse_nul",
    "config.middleware.optional_slash",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.follow_browser_session",
    "accounts.middleware.speak_as_profile_says",
    "accounts.middleware.require_second_factor",
    "accounts.limits.PageLimits",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

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

# Data

DATABASE_URL = database_url()
DATABASES = {"default": env.db_url_config(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # Writers queue instead of failing: a transaction takes the write lock when
        # it begins, and waits for it.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    DATABASES["default"]["OPTIONS"] = {
        "pool": {
            "min_size": 1,
            "max_size": 20,
            "timeout": 10,
            # By default it tries more and more seldom for five minutes, and would
            # find a database that is back only after as long as it was away.
            "reconnect_timeout": 3,
        },
        "connect_timeout": 5,
        # One plan for ever would be that of the small tables it was made for.
        "options": "-c plan_cache_mode=force_custom_plan",
        # What is asked again and again on a connection is parsed once.
        "server_side_binding": True,
        "prepare_threshold": 3,
    }

REDIS_URL = address("REDIS_URL")
CACHES = {
    "default": (
        {
            "BACKEND": "accounts.cache.SteadyRedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": "tertulia",
            # A slow Redis must not hold the request that only wants to count.
            "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 2},
        }
        if REDIS_URL
        else {"BACKEND": "accounts.cache.MemoryCache"}
    )
}
# Without REDIS_URL the memory of the one process is shared enough; of several, each
# counts for itself (docs/deployment.md).
SILENCED_SYSTEM_CHECKS = ["django_ratelimit.E003", "django_ratelimit.W001"]
RATELIMIT_FAIL_OPEN = True

# Accounts

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.authentication.backends.AccountBackend"]
PASSWORD_HASHERS = [
    "accounts.hashers.BoundedArgon2PasswordHasher",
    "accounts.hashers.BoundedPBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 8},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {
        "NAME": "django.contrib.auth.password_validation"
        ".UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ["email"]},
    },
]
REGISTRATION = choice("REGISTRATION", "open", "closed")
EMAIL_VERIFICATION = email_verification()
PASSWORD_CHANGE_DOMAINS = env.list("PASSWORD_CHANGE_DOMAINS", default=[])
ADMIN_SECRET = admin_secret()
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
# allauth's own would also ask whom the operator made an account for; who is asked
# stands in accounts/verification.py.
ACCOUNT_EMAIL_VERIFICATION = "none"
# The sign-in address is the operator's to change.
ACCOUNT_MAX_EMAIL_ADDRESSES = 1
ACCOUNT_FORMS = {
    "change_password": "accounts.password_forms.ChangePasswordForm",
    "login": "accounts.forms.LoginForm",
    "reauthenticate": "accounts.password_forms.ReauthenticateForm",
    "signup": "accounts.forms.SignupForm",
    "reset_password": "accounts.forms.ResetPasswordForm",
    "reset_password_from_key": "accounts.password_forms.ResetPasswordKeyForm",
    "set_password": "accounts.password_forms.SetPasswordForm",
    "user_token": "accounts.forms.ResetLinkForm",
}
# What is counted per address is counted in accounts/limits.py, with the API.
ACCOUNT_RATE_LIMITS = {
    "login": None,
    "signup": None,
    "reset_password": "5/m/key",
    "reset_password_from_key": None,
    "login_failed": "5/5m/key",
}
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_PREVENT_ENUMERATION = True
# Who changes a password or a second factor is told so by mail.
ACCOUNT_EMAIL_NOTIFICATIONS = True
MFA_RATE_LIMITS = {"webauthn_login": None}
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Tertulia"
# The clock of a phone may be off by as much as one code is good for.
MFA_TOTP_TOLERANCE = 1
MFA_RECOVERY_CODE_DIGITS = 12
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_ADAPTER = "accounts.mfa.adapter.MFAAdapter"
MFA_FORMS = {
    "authenticate": "accounts.mfa.adapter.AuthenticateForm",
    "reauthenticate": "accounts.mfa.adapter.ReauthenticateForm",
    "activate_totp": "accounts.mfa.adapter.ActivateForm",
    "add_webauthn": "accounts.mfa.passkeys.AddPasskeyForm",
    "edit_webauthn": "accounts.mfa.passkeys.RenamePasskeyForm",
    "login_webauthn": "accounts.mfa.passkeys.SignInByPasskeyForm",
    "authenticate_webauthn": "accounts.mfa.passkeys.PasskeyForm",
    "reauthenticate_webauthn": "accounts.mfa.passkeys.ReauthenticateByPasskeyForm",
}
MFA_REQUIRED_ROLES = required_roles()
MFA_REQUIRED_DOMAINS = env.list("MFA_REQUIRED_DOMAINS", default=[])
DELETION_GRACE_DAYS = whole("DELETION_GRACE_DAYS", 14, most=MOST_DAYS)
EMAIL_CONFIG = mail()
vars().update(EMAIL_CONFIG)
MAIL_BACKEND = EMAIL_CONFIG["EMAIL_BACKEND"]
EMAIL_BACKEND = "accounts.mail.LaterBackend"
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="tertulia@localhost")

JWT_SECRET = secret("JWT_SECRET")
SIMPLE_JWT = {
    "SIGNING_KEY": JWT_SECRET,
    "ALGORITHM": choice("JWT_ALGORITHM", "HS256", "HS384", "HS512"),
    "ISSUER": env.str("JWT_ISSUER", default="tertulia"),
    "AUDIENCE": env.str("JWT_AUDIENCE", default="tertulia"),
    "ACCESS_TOKEN_LIFETIME": timedelta(
        minutes=amount("ACCESS_TOKEN_MINUTES", 30, LEAST_TIME)
    ),
    "REFRESH_TOKEN_LIFETIME": timedelta(
        days=amount("REFRESH_TOKEN_DAYS", 30, LEAST_TIME, MOST_DAYS)
    ),
}
JWT_ISSUERS = jwt_issuers(SIMPLE_JWT["ISSUER"])
WS_QUERY_TOKEN = env.bool("WS_QUERY_TOKEN", default=False)

# Limits

CHAT_RATE = rate("CHAT_RATE", "30/m")
DAILY_UNITS_LIMIT = whole("DAILY_UNITS_LIMIT", 10_000)
EXPLICIT_CAP = whole("EXPLICIT_CAP", 3, most=3)
MESSAGE_MAX_CHARS = 32_000

# Models: times in seconds, sizes in tokens

LLM_PROVIDER = choice("LLM_PROVIDER", "auto", "demo", "ollama", "openai")
OLLAMA_HOST = env.str("OLLAMA_HOST", default="http://127.0.0.1:11434")
OLLAMA_MODEL = env.str("OLLAMA_MODEL", default="llama3.1:8b")
OPENAI_API_KEY = env.str("OPENAI_API_KEY", default="")
OPENAI_BASE_URL = env.str("OPENAI_BASE_URL", default="")
OPENAI_MODEL = env.str("OPENAI_MODEL", default="gpt-4.1-mini")
OPENAI_API = choice("OPENAI_API", "responses", "chat")
LLM_CONNECT_TIMEOUT = amount("LLM_CONNECT_TIMEOUT", 5, LEAST_TIME)
LLM_FIRST_TOKEN_TIMEOUT = amount("LLM_FIRST_TOKEN_TIMEOUT", 60, LEAST_TIME)
LLM_IDLE_TIMEOUT = amount("LLM_IDLE_TIMEOUT", 30, LEAST_TIME)
LLM_TOTAL_TIMEOUT = amount("LLM_TOTAL_TIMEOUT", 600, LEAST_TIME)
LLM_MAX_OUTPUT_TOKENS = whole("LLM_MAX_OUTPUT_TOKENS", 2048, 1)
LLM_CONTEXT_TOKENS = whole("LLM_CONTEXT_TOKENS", 8192, 1)

# The API

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.bearer.BearerAuthentication"
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["accounts.api.parsing.StrictJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "config.api.AlwaysJson",
    "DEFAULT_PAGINATION_CLASS": "config.api.Page",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "config.api.answer_error",
    "PAGE_SIZE": 50,
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Tertulia",
    "DESCRIPTION": "Talk with characters and assistants. Sockets and event streams "
    "are described in docs/api.md.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "config.api.document_refusals",
        "config.api.document_bodies",
    ],
    "ENUM_NAME_OVERRIDES": {
        "UserRole": "accounts.models.User.Role",
        "MessageRole": "conversations.models.Message.Role",
    },
}
CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_URLS_REGEX = r"^/api/.*$"
# Who comes back to an event stream says what came last.
CORS_ALLOW_HEADERS = [*default_headers, "last-event-id"]
CORS_EXPOSE_HEADERS = ["Retry-After", "X-Request-ID"]

# Pages

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("es", _("Spanish"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = ["config.formats"]
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Outside production files are served from where they lie, without a build step.
STATIC_ROOT = BASE_DIR / "staticfiles" if PRODUCTION else None
WHITENOISE_USE_FINDERS = not PRODUCTION
WHITENOISE_AUTOREFRESH = DEBUG
STORAGES = {
    "default": file_storage(),
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
MEDIA_ROOT = env.str("UPLOAD_DIR", default=str(VAR_DIR / "uploads"))
MEDIA_URL = media_url()
RETENTION_DAYS = whole("RETENTION_DAYS", 0, most=MOST_DAYS)

# Security

IS_HTTPS = PUBLIC_URL.startswith("https://")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_NAME = "__Host-session" if IS_HTTPS else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if IS_HTTPS else "csrf"
LANGUAGE_COOKIE_NAME = "__Host-language" if IS_HTTPS else "language"
LANGUAGE_COOKIE_SECURE = IS_HTTPS
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
# In a cookie they would be one more that names nobody's host.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SECURE_SSL_REDIRECT = IS_HTTPS
# Whoever watches over the process asks it directly, not through the proxy.
SECURE_REDIRECT_EXEMPT = [r"^health$", r"^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000 if IS_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = IS_HTTPS
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXY_HOPS else None
)
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# A body of any kind, and one without files.
BODY_MAX_BYTES = 16 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

# Logs

LOG_DIR = env.str("LOG_DIR", default="")
LOG_LEVEL = choice("LOG_LEVEL", "INFO", "DEBUG", "WARNING", "ERROR", "CRITICAL")
LOGGING_CONFIG = "config.logs.configure"
LOGGING = {
    "level": LOG_LEVEL,
    "directory": LOG_DIR,
    "secrets": [
        *(SECRET_KEY, JWT_SECRET, ADMIN_SECRET, OPENAI_API_KEY),
        *map(password_in, (DATABASE_URL, REDIS_URL, address("EMAIL_URL"))),
        *map(password_in, (OLLAMA_HOST, OPENAI_BASE_URL)),
        *map(STORAGES["default"].get("OPTIONS", {}).get, ("access_key", "secret_key")),
        *(issuer.get("key") for issuer in JWT_ISSUERS),
    ],
}
