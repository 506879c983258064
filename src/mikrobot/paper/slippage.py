"""Latency and slippage models: jitter, stress periods and market impact.

Every random draw depends only on seed, account and order id, so that threads and other accounts do
not change it. Only this module uses floats: latency is rounded to milliseconds and slippage to ticks.
"""

import math
from dataclasses import dataclass, field
from hashlib import blake2b
from statistics import NormalDist

_NORMAL = NormalDist()
_DRAWS = {"latency": 0, "jitter": 1}


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from submission to arrival: a base plus a log-normal part.

    Attributes
    ----------
    base_ms, median_ms, spread : float
        ``base_ms + LogNormal(ln median_ms, spread)``; with a median of 0, only the base.
    """

    base_ms: float = 0.0
    median_ms: float = 0.0
    spread: float = 0.0

    @classmethod
    def fx(cls) -> "Latency":
        """Return the latency of a retail FX bridge: 50 ms plus a median of 20 ms (assumption)."""
        return cls(50.0, 20.0, 0.5)

    @classmethod
    def crypto(cls) -> "Latency":
        """Return the latency of a crypto exchange's REST API: 30 ms plus a median of 15 ms (assumption)."""
        return cls(30.0, 15.0, 0.6)

    def draw(self, seed: int, account: str, order: str) -> int:
        """Return the latency of one order in milliseconds.

        >>> Latency.fx().draw(7, "a", "1") == Latency.fx().draw(7, "a", "1") > 50
        True
        """
        if not self.median_ms:
            return round(self.base_ms)
        drawn = normal(seed, account, order, "latency")
        return round(self.base_ms + self.median_ms * math.exp(self.spread * drawn))


@dataclass(frozen=True, slots=True)
class Stress:
    """A period in which spread and volatility are multiplied, for example news or a rollover."""

    start: int
    end: int
    multiplier: float = 3.0


@dataclass(frozen=True, slots=True)
class Slippage:
    """Parameters of jitter, stress and square-root market impact.

    Attributes
    ----------
    jitter : float
        Price move of one standard deviation, as a share of the half-spread.
    sigma_ref : float
        One-minute volatility (standard deviation of log returns) at which jitter has its nominal size;
        the ratio of current to reference volatility, times the stress, is capped at 4.
    impact : float
        Y of ``Y * sigma_d * sqrt(Q / ADV)``, 0.5 to 1.5 (Almgren et al. 2005; Toth et al. 2011).
    decay_ms : float
        Time constant with which the impact of earlier orders decays.
    symmetric : bool
        True if jitter may also improve the taker's price.
    windows : tuple of Stress
    """

    jitter: float = 0.25
    sigma_ref: float = 2e-4
    impact: float = 1.0
    decay_ms: float = 600_000.0
    symmetric: bool = False
    windows: tuple[Stress, ...] = ()

    @property
    def active(self) -> bool:
        """Return whether the model can change a price."""
        return self.jitter > 0 or self.impact > 0 or bool(self.windows)

    def stress(self, ts: int) -> float:
        """Return the stress multiplier at an instant, 1 outside all windows."""
        return max((window.multiplier for window in self.windows if window.start <= ts < window.end), default=1.0)

    def spread_ticks(self, ts: int, spread: int, drawn: float, sigma: float) -> float:
        """Return the slippage from jitter and stress, in ticks.

        Parameters
        ----------
        ts : int
        spread : int
            Quoted spread, in ticks.
        drawn : float
            Standard normal draw.
        sigma : float
            Current one-minute volatility; 0 if unknown, which counts as `sigma_ref`.
        """
        times = self.stress(ts)
        share = min(times * (sigma / self.sigma_ref if sigma else 1.0), 4.0)
        size = drawn if self.symmetric else abs(drawn)
        return self.jitter * spread * times / 2 * size * share + (times - 1) * spread / 2

    def expected_ticks(self, spread: int) -> int:
        """Return the mean jitter at `sigma_ref`, rounded up to whole ticks, without stress and impact.

        Parameters
        ----------
        spread : int
            Quoted spread, in ticks.

        >>> [Slippage().expected_ticks(spread) for spread in (0, 8, 40)], NO_SLIPPAGE.expected_ticks(40)
        ([0, 1, 4], 0)
        """
        mean = 0.0 if self.symmetric else math.sqrt(2 / math.pi)
        return against(self.jitter * spread / 2 * mean)

    def impact_ticks(self, price: int, units: float, sigma_d: float, adv: float) -> float:
        """Return the market impact of a quantity, in ticks.

        Parameters
        ----------
        price : int
            Ticks.
        units : float
            Units of base: this order's and the decayed quantity of earlier orders.
        sigma_d, adv : float
            Daily volatility and average daily volume of the contract; without a volume there is no impact.

        >>> Slippage().impact_ticks(100_000, 1e4, sigma_d=0.01, adv=1e6)
        100.0
        """
        return price * self.impact * sigma_d * math.sqrt(units / adv) if adv else 0.0


NO_LATENCY = Latency()
NO_SLIPPAGE = Slippage(jitter=0.0, impact=0.0)


@dataclass(slots=True)
class Pressure:
    """Decaying quantity that one account recently traded beyond the displayed depth of a symbol, by side."""

    bought: float = 0.0
    sold: float = 0.0
    ts: int = 0
    decay_ms: float = field(default=600_000.0)

    def at(self, ts: int, sign: int) -> float:
        """Return the decayed units of earlier orders on this side."""
        fade = math.exp(-(ts - self.ts) / self.decay_ms) if self.decay_ms else 0.0
        return (self.bought if sign > 0 else self.sold) * fade

    def add(self, ts: int, sign: int, units: float) -> None:
        """Add the units of an order."""
        self.bought, self.sold, self.ts = self.at(ts, 1), self.at(ts, -1), ts
        if sign > 0:
            self.bought += units
        else:
            self.sold += units


def normal(seed: int, account: str, order: str, purpose: str) -> float:
    """Return a standard normal draw that depends only on the four arguments.

    >>> normal(1, "a", "x", "jitter") != normal(1, "b", "x", "jitter")
    True
    """
    key = f"{seed}\n{account}\n{order}".encode()
    start = 8 * _DRAWS[purpose]
    drawn = int.from_bytes(blake2b(key, digest_size=16).digest()[start : start + 8], "big")
    return _NORMAL.inv_cdf((drawn + 0.5) / 2**64)


def against(ticks: float) -> int:
    """Round slippage against the taker to a whole tick.

    >>> against(0.2), against(-0.7), against(3.0)
    (1, 0, 3)
    """
    return math.ceil(ticks)
