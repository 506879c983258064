"""The benchmark of an account: buy and hold of the symbols it traded."""

from collections.abc import Mapping
from decimal import Decimal

import pandas as pd


def buy_and_hold(bars: Mapping[str, pd.DataFrame], opening: Decimal) -> pd.Series:
    """Return the equity of an account that buys equal parts of all symbols at their first close and holds them.

    Costs are ignored. Before its first bar a symbol counts at its initial part; after its last bar it counts at
    its last close.

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
