"""The frozen settings, read from the environment, a file and the defaults, in that order of priority.

Environment variables are named ``MIKROBOT_<FIELD>``; lists are JSON. The file is ``mikrobot.toml`` in the
working folder, or the path in ``MIKROBOT_CONFIG``. Secrets are not settings: they are in files
of mode 0600 under `Settings.home`, or in ``MIKROBOT_DATABASE_URL``. Every value has bounds, and a name that is
neither a setting nor in `OTHER_VARIABLES` is refused.
"""

import json
import os
import re
from collections.abc import Container
from decimal import Decimal
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from mikrobot.domain.addresses import has_unescaped_marks, is_postgresql_url, is_web_address
from mikrobot.domain.errors import SettingsError, UsageError
from mikrobot.domain.instruments import registry
from mikrobot.domain.risk_profiles import RISK_PROFILES, RiskProfile
from mikrobot.domain.sources import SourceKind, at_address, combined, located, members_of, routed
from mikrobot.settings_fields import FolderClocks, Names, Parameters, Paths, Port, Routes, Share, refused
from mikrobot.settings_file import PREFIX, absolute, file_path, name_of, nearest, origin, read_file, shown

OTHER_VARIABLES = {
    "MIKROBOT_CONFIG": "path of the file of settings",
    "MIKROBOT_CACHE": "folder of the compiled features",
    "MIKROBOT_ROOT": "folder of the clone, in prefect.yaml",
    "MIKROBOT_MT5_PASSWORD": "password of mt5_login",
    "MIKROBOT_TEST_TIMESCALE_URL": "server of the tests that need TimescaleDB",
}
"""Variables with the prefix that are no settings, with their meaning."""

PORTS = ("postgres_port", "prefect_port", "mlflow_port", "bento_port", "evidently_port", "venue_port")

CREDENTIALS = ("user", "password", "passfile", "service")
"""Options of a PostgreSQL URL that choose or prove an account."""

BINANCE_REST = "https://api.binance.com/api"
BINANCE_STREAMS = "wss://stream.binance.com:9443"
BINANCE_FUTURES_REST = "https://fapi.binance.com/fapi"
BINANCE_FUTURES_STREAMS = "wss://fstream.binance.com"

_LOCAL = at_address("binance", "http://127.0.0.1")
"""Source of the bars of a venue on this machine."""

_SWITCHES = ("split", "data_ticks", "books", "predict_in_process", "evidently")

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")

SWINGS = (5, 15)
"""Bars on each side of a swing, for the swings that have M1 features."""


class Settings(BaseSettings):
    """All settings with their defaults."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True, hide_input_in_errors=True
    )

    home: Path = Field(Path(".mikrobot"), description="folder of all state: database, artefacts, logs, reports")
    profile: Literal["session1", "lightning", "ftmo"] = Field("session1", description="risk limits to trade by")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least level that is logged")

    host: str = Field("127.0.0.1", description="IPv4 address that every local service listens on, or localhost")
    postgres_port: Port = Field(54329, description="port of the bundled PostgreSQL")
    prefect_port: Port = Field(4200, description="port of Prefect")
    mlflow_port: Port = Field(5500, description="port of MLflow")
    bento_port: Port = Field(3300, description="port of the prediction service")
    evidently: bool = Field(
        False, description="keep snapshots of each drift report, and start Evidently's pages of them"
    )
    evidently_port: Port = Field(8500, description="port of Evidently's pages")
    bento_workers: int = Field(1, ge=1, le=16, description="processes that predict; each loads every model")
    database_url: SecretStr | None = Field(
        None, description="administrator's URL of your own PostgreSQL; unset: the bundled one"
    )

    source: str | None = Field(
        None, description="market source, or several as binance+mt5; unset: Binance if reachable, else simulated"
    )
    data: Paths = Field((), description="bar files or folders of the replay source")
    data_clock: str | None = Field(None, description="clock of bar files that do not show it, as EET or Europe/London")
    data_clocks: FolderClocks = Field(
        {}, description="clock of the bar files below each folder, instead of data_clock; --clock overrides both"
    )
    data_format: str | None = Field(None, description="format of the bar files; unset: recognised by their content")
    data_symbol: str | None = Field(None, description="symbol of the bar files; unset: by their names")
    data_ticks: bool = Field(False, description="the files hold ticks or trades, which are aggregated to M1 bars")
    instruments: Path | None = Field(
        None, description="file of instruments, see docs/data.md; unset: instruments.toml next to mikrobot.toml"
    )
    symbols: Names = Field((), description="symbols to trade; unset: all symbols of the data, or EURUSD and BTCUSDT")
    routes: Routes = Field({}, description="source of each symbol of several, else the first that lists it")
    seed: int = Field(7, ge=0, lt=2**31, description="seed of the simulated market, the models and the splits")
    history_days: int = Field(120, ge=1, le=18_262, description="days of history before the traded period; to 50 years")
    hours: int = Field(24, ge=1, le=87_660, description="length of the traded period in hours; to ten years")
    binance_url: str = Field(BINANCE_REST, description="Binance REST API")
    binance_stream_url: str = Field(BINANCE_STREAMS, description="Binance's streams; empty: poll the REST API only")
    binance_futures_url: str = Field(BINANCE_FUTURES_REST, description="REST API of Binance's USD-M futures")
    binance_futures_stream_url: str = Field(
        BINANCE_FUTURES_STREAMS, description="streams of Binance's USD-M futures; empty: poll the REST API only"
    )
    books: bool = Field(True, description="keep order books of live symbols, for features and paper fills")
    record: Path | None = Field(None, description="folder into which the session of a live source is recorded")
    venue: Literal["local"] | None = Field(
        None, description="local: a run starts a venue on this machine, and trades it instead of Binance"
    )
    venue_speed: float = Field(60.0, gt=0, le=600, description="market seconds per real second on that venue")
    venue_port: Port = Field(8310, description="port of the local venue of a run")
    probe_seconds: float = Field(3.0, gt=0, le=60, description="seconds to wait for Binance before using the fallback")
    mt5_host: str | None = Field(
        None, description="host of the RPyC bridge; unset: this machine, on Windows without a bridge"
    )
    mt5_port: Port = Field(18812, description="port of the RPyC bridge")
    mt5_login: int | None = Field(None, ge=1, description="account number; unset: the terminal's own")
    mt5_password_file: Path | None = Field(None, description="file of its password, else MIKROBOT_MT5_PASSWORD")
    mt5_server: str | None = Field(None, description="name of the broker's server; unset: the terminal's own")
    mt5_terminal: str | None = Field(None, description="path of terminal64.exe; unset: the one found by the package")
    mt5_timeout_seconds: float = Field(60.0, ge=1, le=600, description="seconds within which the terminal must answer")

    swing: int = Field(5, description="bars on each side of a swing: 5 or 15")
    horizon_minutes: int = Field(5, ge=1, le=1440, description="minutes within which a break is predicted")
    trials: int = Field(
        0, ge=0, le=10_000, description="trials of the parameter search in a training; 0 uses the default parameters"
    )
    tuning_seconds: float = Field(300, gt=0, le=604_800, description="seconds after which no new trial starts")
    shadow_predictions: int = Field(
        500,
        ge=0,
        le=10_000_000,
        description="live predictions of a challenger before it may replace the champion",
    )
    model: Literal["champion", "challenger"] = Field("champion", description="model whose predictions are traded")
    strategies: Names = Field(
        ("simple_break",), min_length=1, description="strategies that trade, ours or my_rules.py:Reversal"
    )
    strategy_parameters: Parameters = Field(
        {}, description='parameters of strategies that differ from their defaults, as {"simple_break.stop_atr": 2}'
    )
    entry_probability: Share = Field(0.55, description="smallest break probability for which an order is placed")
    news: Path | None = Field(
        None,
        description="calendar of economic news, CSV, see docs/strategies.md; unset: trades are opened through news",
    )
    arms: Names = Field((), description="additional accounts that trade by other rules, as careful:profile=ftmo")
    split: bool = Field(
        False, description="assign each day of a symbol to the run or one of its arms, by a stable hash"
    )
    balance: Decimal = Field(
        Decimal("10000"),
        ge=1,
        le=1_000_000_000,
        decimal_places=2,
        description="initial balance in USD of the paper account of a source; later runs continue with its balance",
    )

    quarantine_share: Share = Field(0.01, description="share of bad rows above which a quality gate fails")
    retrain_cooldown_hours: int = Field(
        24, ge=0, le=8_760, description="hours after a retraining in which a worse model does not ask for another"
    )
    retention_days: int = Field(
        90, ge=1, le=36_500, description="days for which flow runs, reports and unneeded model versions are kept"
    )
    predict_in_process: bool = Field(
        False, description="the worker predicts by itself, with the same version, while the prediction service is down"
    )
    freshness_seconds: int = Field(
        120, ge=1, le=86_400, description="age in seconds at which a live feature row is stale"
    )

    @classmethod
    def settings_customise_sources(  # noqa: PLR0917, the signature of pydantic-settings
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: arguments, environment, file."""
        return init_settings, env_settings, InitSettingsSource(settings_cls, read_file())

    @field_validator("*", mode="before")
    @classmethod
    def _no_switch_for_a_number(cls, given: Any, info: ValidationInfo) -> Any:
        if isinstance(given, bool) and info.field_name not in _SWITCHES:
            raise refused("Input should not be true or false")
        return given

    @field_validator("balance")
    @classmethod
    def _without_exponent(cls, given: Decimal) -> Decimal:
        return Decimal(f"{given:f}")

    @field_validator("host")
    @classmethod
    def _ipv4(cls, given: str) -> str:
        try:
            return given if given == "localhost" else str(IPv4Address(given))
        except AddressValueError:
            raise refused("expected an IPv4 address of this machine, as 127.0.0.1, or localhost") from None

    @field_validator("database_url")
    @classmethod
    def _postgresql(cls, given: SecretStr | None) -> SecretStr | None:
        if given is None:
            return None
        address = given.get_secret_value()
        if has_unescaped_marks(address):
            raise refused("expected % @ / ? # and a space as %25 %40 %2F %3F %23 %20 in a user or password, and no %00")
        if not is_postgresql_url(address):
            raise refused("expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
        return given

    @field_validator("binance_url", "binance_futures_url")
    @classmethod
    def _web_address(cls, given: str, info: ValidationInfo) -> str:
        if not is_web_address(given):
            raise refused(f"expected an address, as {_default(info)}")
        return given

    @field_validator("binance_stream_url", "binance_futures_stream_url")
    @classmethod
    def _stream_address(cls, given: str, info: ValidationInfo) -> str:
        secure = given.removeprefix("ws")
        if given and (secure == given or not is_web_address(f"http{secure}")):
            raise refused(f"expected an address, as {_default(info)}, or nothing")
        return given

    @field_validator("mt5_host")
    @classmethod
    def _host_name(cls, given: str | None) -> str | None:
        if given is not None and not _HOST.fullmatch(given):
            raise refused("expected a host without scheme and port, as 127.0.0.1")
        return given

    @field_validator("source")
    @classmethod
    def _known_source(cls, given: str | None) -> str | None:
        try:
            return None if given is None else combined(members_of(given))
        except UsageError as error:
            raise refused(str(error)) from None

    @field_validator("swing")
    @classmethod
    def _known_swing(cls, given: int) -> int:
        if given not in SWINGS:
            raise refused(f"expected {' or '.join(map(str, SWINGS))}, the swings that have features")
        return given

    @property
    def trading(self) -> RiskProfile:
        """Risk limits of the chosen profile."""
        return RISK_PROFILES[self.profile]

    @property
    def prefect_url(self) -> str:
        """Address of the Prefect UI."""
        return f"http://{self.host}:{self.prefect_port}"

    @property
    def mlflow_url(self) -> str:
        """Address of the MLflow UI, which is also the tracking URI."""
        return f"http://{self.host}:{self.mlflow_port}"

    @property
    def bento_url(self) -> str:
        """Address of the prediction service."""
        return f"http://{self.host}:{self.bento_port}"

    @property
    def evidently_url(self) -> str:
        """Address of Evidently's pages."""
        return f"http://{self.host}:{self.evidently_port}"

    @property
    def snapshots_url(self) -> str | None:
        """Address of the snapshots of drift reports; None if none are kept."""
        return self.evidently_url if self.evidently else None

    def environment(self) -> dict[str, str]:
        """Return the environment variables that give a child process the same settings.

        The URL of the database has no user and no password: a child has those of its own role.
        """
        given = self.model_dump(mode="json", exclude_none=True, exclude={"database_url"})
        variables = {f"MIKROBOT_{name.upper()}": _as_text(value) for name, value in given.items()}
        if self.database_url is not None:
            variables["MIKROBOT_DATABASE_URL"] = without_credentials(self.database_url.get_secret_value())
        return variables


def without_credentials(url: str) -> str:
    """Return the address of a database server without the user and the password.

    >>> without_credentials("postgresql://me:mine@host:5432/db?sslmode=require&password=mine")
    'postgresql://host:5432/db?sslmode=require'
    """
    parts = urlsplit(url)
    options = [option for option in parts.query.split("&") if unquote(option.partition("=")[0]) not in CREDENTIALS]
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="&".join(options)))


def load(**given: Any) -> Settings:
    """Read the settings; arguments that are not None override every other source.

    Paths are made absolute, so that they are the same for every process of the stack. The instruments of the user's
    file become those of this process. The source `binance` on another server than Binance's is `binance-local`, so that
    the bars of the two never mix.

    Raises
    ------
    SettingsError
        If a name is unknown, a value is of the wrong type or out of its bounds, two services have the same port, or
        the file or the file of instruments cannot be read. The message names the variable, or the key and the file, and
        the remedy.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    _refuse_unknown_variables()
    _refuse_unknown_keys()
    try:
        settings = Settings(**chosen)
    except ValidationError as error:
        raise SettingsError(_complaint(error, chosen)) from error
    _refuse_equal_ports(settings, chosen)
    instruments = _instruments(settings, chosen)
    registry.use_file(instruments)
    loaded = settings.model_copy(
        update={
            "home": absolute(settings.home),
            "record": settings.record and absolute(settings.record),
            "data": tuple(absolute(path) for path in settings.data),
            "data_clocks": _folder_clocks(settings, chosen),
            "instruments": instruments,
            "strategies": tuple(map(_located, settings.strategies)),
            "news": settings.news and absolute(settings.news),
            "mt5_password_file": settings.mt5_password_file and absolute(settings.mt5_password_file),
            **_market(settings),
        }
    )
    return on_venue(loaded) if loaded.venue else loaded


def on_venue(settings: Settings) -> Settings:
    """Return settings that trade the local venue of a run, on its port.

    Raises
    ------
    SettingsError
        If they name another source than Binance, or bar files.
    """
    if settings.source not in {None, "binance", _LOCAL}:
        raise SettingsError(f"the local venue stands for Binance, not for {settings.source}: give --source binance")
    if settings.data:
        raise SettingsError("the local venue of a run makes its own market: leave the bar files out, or leave it out")
    address = f"127.0.0.1:{settings.venue_port}"
    urls = {"binance_url": f"http://{address}/api", "binance_stream_url": f"ws://{address}"}
    return settings.model_copy(update={"source": _LOCAL, **urls})


def _market(settings: Settings) -> dict[str, Any]:
    """Return the source by the addresses of its venues, and its symbols without the sources that they name."""

    def address(kind: SourceKind) -> str:
        return "" if kind.address is None else str(getattr(settings, kind.address))

    try:
        symbols, named = routed(settings.symbols)
        source = settings.source and located(settings.source, address)
    except UsageError as error:
        raise SettingsError(str(error)) from error
    if not named:
        return {"source": source}
    return {"source": source, "symbols": symbols, "routes": settings.routes | named}


def _located(strategy: str) -> str:
    """Return the reference of a strategy with an absolute path, if it names a file."""
    path, _, name = strategy.rpartition(":")
    return f"{absolute(Path(path))}:{name}" if path.endswith(".py") else strategy


def _default(info: ValidationInfo) -> str:
    return str(Settings.model_fields[str(info.field_name)].default)


def _instruments(settings: Settings, given: Container[str]) -> Path | None:
    """Return the file of instruments: the one of the settings, else an instruments.toml next to their file."""
    if settings.instruments is None:
        neighbour = file_path().with_name("instruments.toml")
        return absolute(neighbour) if neighbour.is_file() else None
    path = absolute(settings.instruments)
    if not os.path.isfile(path):  # unlike Path.is_file, also of a path too long to be one
        place = origin("instruments", given)
        raise SettingsError(f"{place} names {shown(str(settings.instruments))}, which is not a file; correct the path")
    return path


def _folder_clocks(settings: Settings, given: Container[str]) -> dict[str, str]:
    """Return the clocks of folders by their absolute paths; none where an argument gives one clock for all files."""
    if "data_clock" in given and "data_clocks" not in given:
        return {}
    return {str(absolute(Path(folder))): clock for folder, clock in settings.data_clocks.items()}


def _refuse_unknown_variables() -> None:
    names = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES.keys()
    unknown = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in names)
    if unknown:
        raise SettingsError(
            f"the variable {name_of(unknown[0])} is not a setting; the nearest known one is "
            f"{nearest(unknown[0].upper(), names)}: rename or unset it"
        )


def _refuse_unknown_keys() -> None:
    """Refuse keys of the file that are no setting as written: another case would be taken for the setting."""
    unknown = sorted(read_file().keys() - Settings.model_fields.keys())
    if unknown:
        raise SettingsError(_no_setting(f"{name_of(unknown[0])} in {file_path().absolute()}", unknown[0]))


def _no_setting(place: str, name: str) -> str:
    closest = nearest(name, Settings.model_fields)
    return f"{place} is not a setting; the nearest known one is {closest}: rename or remove it"


def _refuse_equal_ports(settings: Settings, given: Container[str]) -> None:
    unused = {"postgres_port"} if settings.database_url is not None else set()
    unused |= set() if settings.venue else {"venue_port"}
    unused |= set() if settings.evidently else {"evidently_port"}
    used = [name for name in PORTS if name not in unused]
    for port in {getattr(settings, name) for name in used}:
        same = [origin(name, given) for name in used if getattr(settings, name) == port]
        if len(same) > 1:
            raise SettingsError(f"{' and '.join(same)} are the same port, {port}: give each service a port of its own")


def _complaint(error: ValidationError, given: Container[str]) -> str:
    """Return the first complaint as one line: the place, the reason, the value and the remedy; no secret."""
    first = error.errors()[0]
    name = str(first["loc"][0])
    place = origin(name, given)
    if first["type"] == "extra_forbidden":
        return _no_setting(place, name)
    item = f", item {first['loc'][1]}" if len(first["loc"]) > 1 else ""
    value = "" if name == "database_url" else f" (found {shown(first['input'])})"
    return f"{place}{item}: {first['msg']}{value}; correct or remove it"


def _as_text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list | dict) else str(value)
