"""What an account is held against: buying and holding what it traded, or another strategy's equity."""

from collections.abc import Mapping
from decimal import Decimal

import pandas as pd


def buy_and_hold(bars: Mapping[str, pd.DataFrame], opening: Decimal) -> pd.Series:
    """Value an account that puts equal parts into every symbol at its first close and leaves them there.

    Without costs. A symbol is worth its part before its first bar, and its last close after its last.

    Parameters
    ----------
    bars : mapping of str to DataFrame
        M1 bar frames by symbol.
    opening : Decimal
        Account currency.

    Returns
    -------
    Series of float
        Equity by close time, UTC; empty without bars.
    """
    growth = {
        symbol: pd.Series(
            (frame["close"] / frame["close"].iloc[0]).to_numpy(),
            index=pd.DatetimeIndex(frame["open_time"]) + pd.Timedelta(minutes=1),
        )
        for symbol, frame in bars.items()
        if len(frame)
    }
    if not growth:
        return pd.Series(dtype="float64", index=pd.DatetimeIndex([], tz="UTC"))
    return pd.DataFrame(growth).ffill().fillna(1.0).mean(axis=1) * float(opening)
