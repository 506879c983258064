"""Features of the symbol's lead: its recent return and breaks, as of this bar's close.

A symbol has one lead (`mikrobot.domain.market.Instrument.lead`). The steps read the lead's newest row
whose bar closed no later than this one. If that row is older than
`mikrobot.features.kernel.bars.LEAD_HOLDS`, the values are missing. The steps have no state.
"""

from math import nan, sqrt

from mikrobot.features.kernel.feature import SIGN, Output, Quantity, feature

_UNKNOWN = "the symbol has no lead, or the lead has no bar in the last 5 minutes or too little history"
_VOLATILITIES = Quantity("standard deviation")


@feature(
    "lead_return_{length}",
    {
        "": Output(
            _VOLATILITIES,
            "Log return of the lead over `length` bars, in standard deviations of its last hour",
            f"{_UNKNOWN}, or it has not moved for an hour",
        )
    },
    warmup=lambda length: 0,
    inputs={"change": "lead_m1_return_{length}", "volatility": "lead_m1_volatility_60"},
)
def lead_return(change: float, volatility: float, length: int) -> float:
    """Log return of the lead, in units of its own volatility.

    Parameters
    ----------
    change : log return
        Of the lead, over `length` of its bars.
    volatility : log return, per bar
        Of the lead, over an hour.
    length : int, bars

    Returns
    -------
    standard deviations of a return over `length` bars
        NaN if the values of the lead are missing or its volatility is zero.

    References
    ----------
    A. W. Lo and A. C. MacKinlay, "When are contrarian profits due to stock market overreaction?",
    Review of Financial Studies 3 (1990), 175-205: lead-lag between returns.
    """
    return change / (volatility * sqrt(length)) if volatility > 0.0 else nan


@feature(
    "lead_break_{side}",
    {
        "bos": Output(SIGN, "Break of structure of a swing `side` level on the lead's newest bar", _UNKNOWN),
        "trend": Output(
            SIGN, "Direction of the lead's last break of a swing `side` level; 0 before the first", _UNKNOWN
        ),
    },
    warmup=lambda side: 0,
    inputs={"bos": "lead_m1_break_{side}_bos", "trend": "lead_m1_break_{side}_trend"},
)
def lead_break(bos: float, trend: float, side: int) -> tuple[float, float]:
    """Break of structure on the lead's newest bar, and its trend.

    Parameters
    ----------
    bos, trend : sign
        Of the lead.
    side : int, bars

    Returns
    -------
    bos, trend : sign
    """
    return bos, trend
