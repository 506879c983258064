"""Venue profiles: the trading rules of an account.

Defines profiles for MT5 hedging, netting, crypto spot and isolated-margin perpetuals; change any
value with `dataclasses.replace`. Does not enforce them.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from mikrobot.paper.slippage import NO_LATENCY, NO_SLIPPAGE, Latency, Slippage


@dataclass(frozen=True, slots=True)
class Limits:
    """Loss limits of an account in percent, at which it may not open positions; 0 for no limit.

    Attributes
    ----------
    daily_loss_pct, weekly_loss_pct : Decimal
        Percent of the equity at the start of the UTC day, and of the UTC week (Monday).
    total_loss_pct : Decimal
        Percent of all deposits less withdrawals.
    """

    daily_loss_pct: Decimal = Decimal(0)
    weekly_loss_pct: Decimal = Decimal(0)
    total_loss_pct: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Profile:
    """The rules of one account.

    Attributes
    ----------
    name : str
    currency : str
        Currency of a margin account; empty on a cash account, which holds several currencies.
    cash : bool
        Spot trading: no short positions, no leverage; orders lock balances.
    leverage : Decimal
    netting : bool
        True for one position per symbol, false for one position per opening order.
    isolated : bool
        True if each position has its own margin and liquidation price; false if the whole account backs
        all positions, with margin call and stop-out.
    commission_per_lot : Decimal
        Per lot and side, in `commission_currency` (empty: account currency), in addition to the contract's fees.
    unlimited_depth : bool
        True if a dealer also fills size beyond the displayed depth, at the last level plus market impact.
    improve : bool
        True if a resting limit that the quote gaps through fills at the better quote.
    queue : bool
        True if size displayed at a resting limit's price on its arrival trades before the limit.
    margin_call_pct, stop_out_pct : Decimal
        Margin levels in percent.
    latency : Latency
    slippage : Slippage
    limits : Limits
    """

    name: str
    currency: str = ""
    cash: bool = False
    leverage: Decimal = Decimal(1)
    netting: bool = True
    isolated: bool = False
    commission_per_lot: Decimal = Decimal(0)
    commission_currency: str = ""
    unlimited_depth: bool = False
    improve: bool = False
    queue: bool = False
    margin_call_pct: Decimal = Decimal(100)
    stop_out_pct: Decimal = Decimal(50)
    latency: Latency = NO_LATENCY
    slippage: Slippage = NO_SLIPPAGE
    limits: Limits = field(default_factory=Limits)


MT5_HEDGING = Profile(
    "mt5_hedging",
    currency="USD",
    leverage=Decimal(30),
    netting=False,
    commission_per_lot=Decimal("3.50"),
    unlimited_depth=True,
    latency=Latency.fx(),
    slippage=Slippage(),
    limits=Limits(daily_loss_pct=Decimal(5), weekly_loss_pct=Decimal(10)),
)
"""A raw-spread MT5 account. 30 is the maximum leverage of EU retail accounts (ESMA); 3.50 is an assumption."""

NETTING = Profile(
    "netting",
    currency="USD",
    leverage=Decimal(30),
    commission_per_lot=Decimal("3.50"),
    unlimited_depth=True,
    latency=Latency.fx(),
    slippage=Slippage(),
    limits=Limits(daily_loss_pct=Decimal(5), weekly_loss_pct=Decimal(10)),
)
"""As `MT5_HEDGING`, but with one position per symbol."""

CRYPTO_SPOT = Profile("crypto_spot", cash=True, latency=Latency.crypto(), slippage=Slippage())
"""A cash account at a spot exchange; only the contract's fees apply."""

ISOLATED_PERP = Profile(
    "isolated_perp",
    currency="USDT",
    leverage=Decimal(10),
    isolated=True,
    latency=Latency.crypto(),
    slippage=Slippage(),
    limits=Limits(daily_loss_pct=Decimal(5), weekly_loss_pct=Decimal(10)),
)
"""A margin account that trades perpetuals with isolated margin."""
