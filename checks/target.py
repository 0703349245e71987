"""The target profile as types: what `gonogo.toml` may say, with its defaults.

Every field's docstring is the comment that `gonogo init` writes above it. Reading, validating with line
numbers, the contract's defaults and the discovery on the live host are in `checks/profile/`.
"""

from __future__ import annotations

from datetime import UTC, tzinfo
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

from checks.load.model import Scenario
from checks.monitoring.model import AlertSeverity, Contact, Rung, Threshold

Body = dict[str, str | int | bool]


class Operation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How one operation is asked of the target. Strings may hold `{bot_id}`, `{bot_type}`, `{text}`,
    `{username}`, `{password}`, `{token}` and `{limit}`."""

    method: str = "GET"
    path: str = ""
    body: Body | None = None
    limit: str = ""
    """Declared rate limit: calls, a slash and seconds, as in `5/300`; empty where none is declared."""
    reply: dict[str, str] = {}
    """Where a field stands in the answer: our name -> dotted path (`data.token`; `` is the whole answer)."""


class Contract(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The interface of a chatbot controller: operations by name, and where its database keeps messages."""

    name: str = ""
    title: str = ""
    success: str = "success"
    """Field of a JSON answer that must be true; empty where the status code alone tells."""
    error: tuple[str, ...] = ("error", "message", "detail")
    """Fields that may carry the error text, in the order in which they are tried."""
    answer_kinds: tuple[str, ...] = ()
    """Values of the field `kind` of a socket's frames that are answers; empty: every frame is one."""
    rest_auth: Literal["none", "bearer"] = "none"
    """`bearer`: REST operations below the sign-in must refuse a caller without a token."""
    page_elements: tuple[str, ...] = ()
    """Ids of HTML elements without which the page is not the page of a chat."""
    max_command_bytes: int = 0
    """Documented limit of one command; 0 where none is documented."""
    bot_id_pattern: str = "BOT-{number}"
    """How a valid bot id is made from a number of nine digits."""
    bad_bot_id: str = "not a bot id!"
    """A bot id that launch must refuse."""
    operations: dict[str, Operation] = {}
    """health, page, login, register, launch, stop, send, bots, status, history; `ws` (path only) and `ws_send`
    (frame body)."""
    settings: dict[str, tuple[str, ...]] = {}
    """Our name of a setting -> the variables and configuration keys (dotted) in which it may be given."""
    public: tuple[str, ...] = ("/", "/health")
    """Paths that everybody may ask for without a token; one that ends in `/` means what is below it too."""
    description: str = "/openapi.json"
    """Path of the API's description (OpenAPI); empty where there is none."""
    metrics: str = ""
    """Path of the metrics in the Prometheus text format; empty where there are none."""
    metric: dict[str, str] = {}
    """Our name of a metric (`requests`, `errors`, `duration`, ...) -> its selector there, as in PromQL."""
    table: str = "messages"
    columns: dict[str, str] = {}
    """Our name (`id`, `bot_id`, `role`, `text`, `time`) -> column name."""
    alive: tuple[str, ...] = ("active", "running", "ready", "idle", "busy", "up", "online")
    """Status words of the bot list that mean: this bot can be talked to."""
    user_role: str = "user"
    bot_role: str = "assistant"


class TargetSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[target]"""

    url: str
    """Base URL: scheme, host, port and path."""
    name: str = "Chatbot controller"
    """What the banner and the reports call it."""
    version: str = ""
    """The version under review; a review is of one version."""
    contract: str = "port8000"
    """The built-in contract that it speaks; what differs goes into [contract] and [operations.NAME]."""
    authorized: tuple[str, ...] = ()
    """Hosts besides loopback that may be loaded or disturbed."""
    ca_file: str = ""
    """Certificates (PEM) to trust for an https URL; empty: those of this host."""


class CredentialsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[credentials]: where they are found, never the credentials themselves."""

    username_env: str = "GONOGO_USERNAME"
    """Variable that holds the name of the user that gonogo signs in as."""
    password_env: str = "GONOGO_PASSWORD"
    """Variable that holds that user's password."""
    token_env: str = "GONOGO_TOKEN"
    """Variable that holds a token, for a target without a sign-in."""
    file: str = ""
    """A file of NAME=value lines (mode 0600) that supplies those variables where the environment does not."""


class DatabaseSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[database]: the target's database, opened read-only."""

    url: str = ""
    """SQLAlchemy URL without a password, or a path to a SQLite file."""
    url_env: str = "GONOGO_DATABASE_URL"
    """Variable that holds the URL where it carries a password."""
    time_zone: str = ""
    """Zone (such as UTC or Europe/Berlin) of stored times that name none; empty: that of this host."""
    table: str = ""
    """Table of the messages, where it is not the contract's; `schema.table` is allowed."""
    columns: dict[str, str] = {}
    """Our name -> column name, where a column is not the contract's."""


class ProcessSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[process]: the controller's process on this host."""

    port: int = 0
    """Port that it listens on; 0: the port of [target] url."""
    pid: int = 0
    """0: whoever listens on the port."""


class LogSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[log]"""

    file: str = ""
    """The file that the controller writes its log to."""


class WalkthroughSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[walkthrough]: limits in seconds, from the request to the observed effect."""

    bot_type: str = "claude"
    """Type of the bots that the walkthrough launches."""
    launch_within_s: float = 15.0
    """Until the process of a launched bot is there and its port open."""
    reply_within_s: float = 10.0
    """Until a command is answered."""
    stored_within_s: float = 5.0
    """Until the command and its reply are in the database."""
    stop_within_s: float = 15.0
    """Until the process of a stopped bot is gone."""
    down_within_s: float = 10.0
    """Until a killed bot is no longer listed as alive."""
    timeout_s: float = 10.0
    """Longest wait for any single answer not limited above."""
    reply: Literal["any", "echo"] = "any"
    """`echo`: the reply must contain the marked text of the command."""
    kill_bot: bool = True
    """Kill a bot that this walkthrough launched, to see it reported as down."""


class AuditSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[audit]: what production is held against."""

    config_files: tuple[str, ...] = ()
    """Configuration files of the controller: .env, TOML, YAML, JSON or INI."""
    sample_files: tuple[str, ...] = ()
    """Sample configuration that ships with the controller: its values must not be in use."""
    declared: dict[str, str] = {}
    """Setting -> the value that it has to have in production, as in `pool_size = "8"`."""
    concurrency: int = 20
    """Requests that are under way at the same time at the declared peak."""
    instances: int = 1
    """Controllers that share the database."""
    token_hours: float = 24.0
    """Longest lifetime of a token, in hours."""
    tls_url: str = ""
    """Where clients reach the controller over TLS, where a proxy does that: https://HOST[:PORT]."""
    certificate_days: int = 30
    """Days that a certificate must still be valid for."""
    origin: str = ""
    """Origin of the web pages that may use the API, besides the controller's own."""
    health_p95_s: float = 0.25
    """Longest 95th percentile of the health operation at rest, in seconds."""
    list_p95_s: float = 0.5
    """The same for the list of bots."""
    history_p95_s: float = 0.5
    """The same for the history."""
    send_p95_s: float = 1.0
    """The same for a command and its reply."""
    log_within_s: float = 5.0
    """Until what happened is in the log, in seconds."""
    backups: str = ""
    """Folder with the backups of the database, or one file."""
    backup_hours: float = 24.0
    """Greatest age of the newest backup, in hours."""
    disk_free_percent: float = 20.0
    """Free space that the file systems of database and log must have."""
    ports: tuple[str, ...] = ()
    """Further ports on which the controller, its bots or its database may listen on public addresses."""


class LoadSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[load]: what the target has to carry, and how far a load run may go."""

    peak_per_min: float = 1000.0
    """Messages a minute at the declared peak; capacity is held against it."""
    users_file: str = ""
    """Accounts for the virtual users, one `NAME PASSWORD` a line (mode 0600); empty: all share one token."""
    real_users: bool = False
    """Whether real users are on it: a run stops when their response times worsen by half."""
    most_per_s: float = 500.0
    """Hard ceiling of messages a second, whatever a scenario asks for."""
    most_users: int = 500
    """Hard ceiling of virtual users."""
    most_s: float = 7200.0
    """Hard ceiling of a run's length, in seconds."""
    core: int = -1
    """CPU that the generator keeps to; -1: as the host schedules it."""


class MonitoringSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[monitoring]: how thresholds are watched; they themselves are [thresholds.NAME]."""

    interval_s: float = 5.0
    """Seconds from one look to the next."""
    availability_percent: float = 99.5
    """Objective: so many of a hundred requests succeed, over 30 days."""
    reminder_s: float = 14400.0
    """An alert that goes on unacknowledged is told again after so many seconds."""
    runbooks: str = ""
    """Folder or web address below which the runbooks of the thresholds are: NAME.md each."""
    port: int = 0
    """Port on loopback where `gonogo watch` tells its own metrics; 0: any that is free."""


class ReviewSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[review]"""

    id: str = ""
    """Empty: made from the target's URL and version."""
    lead: str = ""
    """Empty: the account that runs gonogo."""


class ReportSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[report]"""

    folder: str = ".deia"
    """Where reports are written; a relative folder is taken from the working folder."""
    prefix: str = "BOT-001"
    """What the names of the report files begin with."""


class ConsoleSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[console]"""

    keys: dict[str, str] = {}
    """Binding id -> key, as in `run-all = "A"`."""


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole `gonogo.toml`."""

    target: TargetSection
    credentials: CredentialsSection = CredentialsSection()
    database: DatabaseSection = DatabaseSection()
    process: ProcessSection = ProcessSection()
    log: LogSection = LogSection()
    walkthrough: WalkthroughSection = WalkthroughSection()
    audit: AuditSection = AuditSection()
    load: LoadSection = LoadSection()
    monitoring: MonitoringSection = MonitoringSection()
    review: ReviewSection = ReviewSection()
    report: ReportSection = ReportSection()
    console: ConsoleSection = ConsoleSection()
    contract: dict[str, object] = {}
    """[contract]: replaces single values of the built-in contract (`rest_auth`, `max_command_bytes`, ...)."""
    operations: dict[str, dict[str, object]] = {}
    """[operations.NAME]: replaces single values of the contract's operation NAME."""
    scenarios: dict[str, dict[str, object]] = {}
    """[scenarios.NAME]: replaces single values of the load scenario NAME."""
    thresholds: dict[str, dict[str, object]] = {}
    """[thresholds.NAME]: replaces single values of the threshold NAME, or adds one."""
    contacts: dict[str, dict[str, object]] = {}
    """[contacts.NAME]: `person`, and `url_env`, the variable with the Apprise URL of the channel."""
    escalation: dict[str, object] = {}
    """[escalation]: severity -> who is told after how long, as in `critical = ["on-call", "lead 5m"]`."""


def zone_of(name: str) -> tzinfo | None:
    """The time zone of that name; None for no name. Raises ValueError, OSError or ZoneInfoNotFoundError."""
    if name == "UTC":  # known even to a host without the time zone database
        return UTC
    return ZoneInfo(name) if name else None


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Secrets in memory; never written, never shown."""

    username: str = ""
    password: str = ""
    token: str = ""

    def __repr__(self) -> str:
        return "Credentials(***)"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine works on: the profile, its contract with the overrides applied, and the secrets."""

    profile: Profile
    contract: Contract
    credentials: Credentials
    database_url: str
    """With its password, where it has one; empty where no database is known."""
    path: Path | None
    """The profile's file; None for one made in memory."""
    scenarios: dict[str, Scenario] = {}
    """The load scenarios with the profile's values in them, by name."""
    thresholds: tuple[Threshold, ...] = ()
    """The thresholds with the profile's values in them."""
    contacts: dict[str, Contact] = {}
    """Who can be told, by name."""
    ladders: dict[AlertSeverity, tuple[Rung, ...]] = {}
    """Who is told after how long, by severity."""

    def with_thresholds(self, thresholds: tuple[Threshold, ...]) -> Target:
        """The same target with these thresholds."""
        return msgspec.structs.replace(self, thresholds=thresholds)

    @property
    def url(self) -> str:
        """Base URL without a trailing slash."""
        return self.profile.target.url.rstrip("/")

    @property
    def host(self) -> str:
        """Host part of the URL."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Port of the URL, explicit or by scheme."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def is_local(self) -> bool:
        """Whether the target runs on this host, as far as its address tells."""
        return self.host == "localhost" or self.host.startswith("127.") or self.host == "::1"

    @property
    def may_be_disturbed(self) -> bool:
        """Whether checks may load or disturb it: it is on loopback, or its host is `authorized` in the profile."""
        return self.is_local or self.host in self.profile.target.authorized

    @property
    def title(self) -> str:
        """Name and version, as the banner and the reports call it."""
        section = self.profile.target
        return f"{section.name} {section.version}".strip()
