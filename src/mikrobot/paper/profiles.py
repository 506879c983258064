"""Venue profiles: the rules that an account trades under.

Named ones for MT5 hedging, netting, crypto spot and isolated perpetuals; any number can be
changed with `dataclasses.replace`. Does not enforce them.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from mikrobot.paper.slippage import NO_LATENCY, NO_SLIPPAGE, Latency, Slippage


@dataclass(frozen=True, slots=True)
class Limits:
    """Losses at which an account opens nothing more, in percent; 0 for no limit.

    Attributes
    ----------
    daily_loss_pct, weekly_loss_pct : Decimal
        Of the equity at the start of the UTC day, and of the UTC week (Monday).
    total_loss_pct : Decimal
        Of everything deposited.
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
        Of a margin account; empty on a cash account, which holds several.
    cash : bool
        Spot: no shorting, no leverage, balances are locked by orders.
    leverage : Decimal
    netting : bool
        One position a symbol; False: one for each opening order.
    isolated : bool
        Each position answers with its own margin and is liquidated by its own price; False: the
        whole account does, with margin call and stop-out.
    commission_per_lot : Decimal
        Per lot and side, in `commission_currency` (empty: account currency), beside the contract's fees.
    unlimited_depth : bool
        A dealer fills what exceeds the displayed size too, at the last level and its impact.
    improve : bool
        A resting limit that the quote gapped through gets the better quote.
    queue : bool
        What is displayed at a resting limit's own price when it arrives trades before it does.
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
"""A raw-spread MT5 account; 30 is the most that EU retail accounts get (ESMA), 3.50 is an assumption."""

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
"""The same with one position a symbol."""

CRYPTO_SPOT = Profile("crypto_spot", cash=True, latency=Latency.crypto(), slippage=Slippage())
"""A cash account at a spot exchange; fees are the contract's."""

ISOLATED_PERP = Profile(
    "isolated_perp",
    currency="USDT",
    leverage=Decimal(10),
    isolated=True,
    latency=Latency.crypto(),
    slippage=Slippage(),
    limits=Limits(daily_loss_pct=Decimal(5), weekly_loss_pct=Decimal(10)),
)
"""Perpetuals with isolated margin."""
