"""The frozen settings, read from the environment, a file and the defaults, in that order of priority.

Environment variables are named ``MIKROBOT_<FIELD>``; lists are JSON. The file is ``mikrobot.toml`` in the
working folder, or the path in ``MIKROBOT_CONFIG``. Secrets are not settings: they are in files
of mode 0600 under `Settings.home`, or in ``MIKROBOT_DATABASE_URL``.
"""

import json
import os
import tomllib
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveInt, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings.exceptions import SettingsError as Unreadable

from mikrobot.domain.errors import SettingsError
from mikrobot.domain.sources import SOURCES

SWINGS = (5, 15)
"""Bars on each side of a swing, for the swings that have M1 features."""


@dataclass(frozen=True, slots=True)
class RiskProfile:
    """A named set of risk limits.

    Attributes
    ----------
    risk_pct : Decimal
        Loss when the stop is hit, in percent of the balance.
    reward_risk : Decimal
        Distance to the target divided by the distance to the stop.
    max_open_trades : int
        Maximum number of open positions on the account, over all symbols.
    daily_loss_pct : Decimal
        Loss of a UTC day after which no new position is opened, in percent of the opening balance of the day.
    """

    risk_pct: Decimal
    reward_risk: Decimal
    max_open_trades: int
    daily_loss_pct: Decimal


RISK_PROFILES: dict[str, RiskProfile] = {
    "session1": RiskProfile(Decimal("1"), Decimal("2.5"), 2, Decimal("5")),
    "lightning": RiskProfile(Decimal("0.55"), Decimal("1"), 5, Decimal("5")),
    "ftmo": RiskProfile(Decimal("0.5"), Decimal("2"), 2, Decimal("5")),
}


class Settings(BaseSettings):
    """All settings with their defaults."""

    model_config = SettingsConfigDict(env_prefix="MIKROBOT_", frozen=True, extra="forbid", env_ignore_empty=True)

    home: Path = Field(Path(".mikrobot"), description="folder of all state: database, artefacts, logs, reports")
    profile: Literal["session1", "lightning", "ftmo"] = "session1"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    host: str = Field("127.0.0.1", description="address that every local service listens on")
    postgres_port: int = Field(54329, ge=1, le=65535)
    prefect_port: int = Field(4200, ge=1, le=65535)
    mlflow_port: int = Field(5500, ge=1, le=65535)
    bento_port: int = Field(3300, ge=1, le=65535)
    database_url: SecretStr | None = Field(
        None, description="administrator's URL of your own PostgreSQL; unset: the bundled one"
    )

    source: str | None = Field(None, description="market source; unset: Binance if reachable, else simulated")
    data: tuple[Path, ...] = Field((), description="bar files or folders of the replay source")
    symbols: tuple[str, ...] = Field(
        (), description="symbols to trade; unset: all symbols of the data, or EURUSD and BTCUSDT"
    )
    seed: int = Field(7, ge=0, description="seed of the simulated market, the models and the splits")
    history_days: PositiveInt = Field(120, description="days of history before the traded period")
    hours: PositiveInt = Field(24, description="length of the traded period in hours")
    binance_url: str = Field("https://api.binance.com/api", description="Binance REST API")
    probe_seconds: float = Field(3.0, gt=0, description="seconds to wait for Binance before using the fallback")

    swing: PositiveInt = Field(5, description="bars on each side of a swing: 5 or 15")
    horizon_minutes: PositiveInt = Field(5, description="minutes within which a break is predicted")
    trials: int = Field(
        0, ge=0, description="trials of the parameter search in a training; 0 uses the default parameters"
    )
    tuning_seconds: float = Field(300, gt=0, description="seconds after which no new trial starts")
    shadow_predictions: int = Field(
        500,
        ge=0,
        description="live predictions of a challenger before it may replace the champion",
    )
    model: Literal["champion", "challenger"] = Field("champion", description="model whose predictions are traded")
    entry_probability: float = Field(
        0.55, ge=0, le=1, description="smallest break probability for which an order is placed"
    )
    arms: tuple[str, ...] = Field(
        (), description="additional accounts that trade by other rules, as careful:profile=ftmo"
    )
    split: bool = Field(
        False, description="assign each day of a symbol to the run or one of its arms, by a stable hash"
    )
    balance: Decimal = Field(
        Decimal("10000"),
        gt=0,
        description="initial balance in USD of the paper account of a source; later runs continue with its balance",
    )

    quarantine_share: float = Field(0.01, ge=0, le=1, description="share of bad rows above which a quality gate fails")
    drift_share: float = Field(0.5, ge=0, le=1, description="share of drifted features that makes the verdict 'drift'")
    freshness_seconds: PositiveInt = Field(120, description="age in seconds at which a live feature row is stale")

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
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, _file())

    @field_validator("source")
    @classmethod
    def _known_source(cls, given: str | None) -> str | None:
        if given is not None and given not in SOURCES:
            raise ValueError(f"expected one of {', '.join(SOURCES)}")
        return given

    @field_validator("swing")
    @classmethod
    def _known_swing(cls, given: int) -> int:
        if given not in SWINGS:
            raise ValueError(f"expected {' or '.join(map(str, SWINGS))}, the swings that have features")
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

    def environment(self) -> dict[str, str]:
        """Return the environment variables that give a child process the same settings."""
        given = self.model_dump(mode="json", exclude_none=True, exclude={"database_url"})
        variables = {f"MIKROBOT_{name.upper()}": _as_text(value) for name, value in given.items()}
        if self.database_url is not None:
            variables["MIKROBOT_DATABASE_URL"] = self.database_url.get_secret_value()
        return variables


def load(**given: Any) -> Settings:
    """Read the settings; arguments that are not None override every other source.

    Paths are made absolute, so that they are the same for every process of the stack.

    Raises
    ------
    SettingsError
        If a value is unknown or out of its range (the message names the field), the file is not TOML,
        or the file in ``MIKROBOT_CONFIG`` does not exist (the message names the path).
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        settings = Settings(**chosen)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"setting {field}: {first['msg']} (found {first['input']!r})") from error
    except Unreadable as error:
        raise SettingsError(f'{error}: write a list as JSON, as MIKROBOT_SYMBOLS=["EURUSD","BTCUSDT"]') from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{_file().resolve()} is not TOML: {error}") from error
    absolute = {"home": _absolute(settings.home), "data": tuple(_absolute(path) for path in settings.data)}
    return settings.model_copy(update=absolute)


def _file() -> Path:
    named = os.environ.get("MIKROBOT_CONFIG")
    if named and not Path(named).is_file():
        raise SettingsError(f"MIKROBOT_CONFIG names {named}, which is not a file; correct the path or unset it")
    return Path(named or "mikrobot.toml")


def _absolute(path: Path) -> Path:
    return path.expanduser().resolve()


def _as_text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list) else str(value)
