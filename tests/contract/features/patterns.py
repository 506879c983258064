"""Reference implementations of price action over the whole history: slow, simple, independent of the kernel.

Every function takes a bar frame (index 0, 1, ...) and returns one column for each suffix of the feature.
"""

import numpy as np
import pandas as pd
import talib

Swing = tuple[int, int, float]
"""Confirming bar, pivot bar, price."""


def atr_of(frame: pd.DataFrame) -> np.ndarray:
    return talib.ATR(*(frame[name].to_numpy() for name in ("high", "low", "close")), 14)


def swing_highs(high: np.ndarray, side: int) -> list[Swing]:
    """Return the swing highs in order; for negated lows, the swing lows."""
    highs = []
    for p in range(side, len(high) - side):
        left, right = high[p - side : p], high[p + 1 : p + side + 1]
        if high[p] >= left.max() and high[p] > right.max():
            highs.append((p + side, p, high[p]))
    return highs


def swings(frame: pd.DataFrame, side: int) -> tuple[list[Swing], list[Swing]]:
    """Return the swing highs and the swing lows."""
    lows = [(t, p, -price) for t, p, price in swing_highs(-frame["low"].to_numpy(), side)]
    return swing_highs(frame["high"].to_numpy(), side), lows


def swing(frame: pd.DataFrame, side: int) -> pd.DataFrame:
    columns = {}
    for name, confirmed in zip(("high", "low"), swings(frame, side), strict=True):
        last = {t: (price, p) for t, p, price in confirmed}
        held = pd.DataFrame.from_dict(last, "index", columns=["price", "pivot"]).reindex(frame.index).ffill()
        columns |= {name: held["price"], f"{name}_age": frame.index - held["pivot"]}
    return pd.DataFrame(columns)


def breaks(frame: pd.DataFrame, side: int, by_wick: bool = False) -> pd.DataFrame:
    close, atr = frame["close"].to_numpy(), atr_of(frame)
    top, bottom = (frame["high"], frame["low"]) if by_wick else (frame["close"],) * 2
    highs, lows = ({t: price for t, _, price in confirmed} for confirmed in swings(frame, side))
    above = below = broken = np.nan
    trend, last, rows = 0, np.nan, []
    for t in range(len(frame)):
        up, down = top[t] > above, bottom[t] < below
        direction = 0
        if up or down:
            direction = 1 if up and (not down or top[t] - above >= below - bottom[t]) else -1
            broken, last = above if direction == 1 else below, t
        reached = top[t] if direction == 1 else bottom[t]
        above, below = np.nan if up else above, np.nan if down else below
        against = direction * trend < 0
        trend = direction or trend
        above, below = highs.get(t, above), lows.get(t, below)
        rows.append(
            {
                "bos": 0 if against else direction,
                "choch": direction if against else 0,
                "trend": trend,
                "penetration": abs(reached - broken) / atr[t] if direction else 0,
                "above": above,
                "below": below,
                "above_distance": (above - close[t]) / atr[t],
                "below_distance": (close[t] - below) / atr[t],
                "age": t - last,
                "broken": broken,
            }
        )
    return pd.DataFrame(rows)


def sequence(frame: pd.DataFrame, side: int) -> pd.DataFrame:
    atr, columns, enough = atr_of(frame), {}, True
    for name, confirmed in zip(("highs", "lows"), swings(frame, side), strict=True):
        prices, compared = [price for _, _, price in confirmed], {}
        for i in range(1, len(confirmed)):
            t = confirmed[i][0]
            near = [abs(prices[i] - earlier) <= 0.1 * atr[t] for earlier in prices[max(0, i - 8) : i]]
            compared[t] = (np.sign(prices[i] - prices[i - 1]), sum(near) if atr[t] > 0 else np.nan)
        held = pd.DataFrame.from_dict(compared, "index", columns=["order", "equals"]).reindex(frame.index)
        newest = pd.Series(frame.index.where(held["order"].notna())).ffill()
        held = held.reindex(newest).set_axis(frame.index)
        columns |= {name: held["order"], f"equal_{name}": held["equals"]}
        enough &= sum(frame.index >= confirmed[i][0] for i in range(3) if i < len(confirmed)) == 3
    structure = columns["highs"].where(enough & (columns["highs"] == columns["lows"]), 0.0)
    return pd.DataFrame({**columns, "structure": structure})


def grab(frame: pd.DataFrame, side: int) -> pd.DataFrame:
    before = breaks(frame, side)[["above", "below"]].shift(1)
    over = (frame["high"] > before["above"]) & (frame["close"] <= before["above"])
    under = (frame["low"] < before["below"]) & (frame["close"] >= before["below"])
    return pd.DataFrame({"above": over, "below": under}).astype(float)


def retest(frame: pd.DataFrame, side: int) -> pd.DataFrame:
    broken, atr, n = breaks(frame, side), atr_of(frame), len(frame)
    direction = (broken["bos"] + broken["choch"]).to_numpy()
    when = np.flatnonzero(direction)
    stage, here, distance = np.zeros(n), np.zeros(n), np.full(n, np.nan)
    for b, after in zip(when, [*when[1:], n], strict=True):
        d, level = direction[b], broken["broken"][b]
        extreme = frame["low" if d > 0 else "high"].to_numpy()
        distance[b:after] = d * (frame["close"][b:after] - level) / atr[b:after]
        waited = range(b + 1, min(b + 21, after))
        back = next((r for r in waited if d * (extreme[r] - level) <= 0.2 * atr[b]), None)
        stage[b : min(b + 20, after)] = 1
        if back is not None:
            held = d * (frame["close"][back] - level) > 0
            stage[back:after] = 2 if held else 3
            here[back] = d if held else 0
    return pd.DataFrame({"stage": stage, "here": here, "distance": distance})


def levels(frame: pd.DataFrame, side: int) -> pd.DataFrame:
    highs, lows = swings(frame, side)
    events = sorted([(t, 0, price) for t, _, price in highs] + [(t, 1, price) for t, _, price in lows])
    confirmed, prices = np.array([t for t, _, _ in events]), np.array([price for _, _, price in events])
    rows = []
    for t, (close, atr) in enumerate(zip(frame["close"], atr_of(frame), strict=True)):
        last = prices[: confirmed.searchsorted(t, side="right")][-32:]
        above, below = last[last > close], last[last <= close]
        width = 0.25 * atr if atr > 0 else 0
        rows.append(
            {
                "above_distance": (above.min() - close) / atr if len(above) else np.nan,
                "above_touches": (above - above.min() <= width).sum() if len(above) else 0,
                "below_distance": (close - below.max()) / atr if len(below) else np.nan,
                "below_touches": (below.max() - below <= width).sum() if len(below) else 0,
            }
        )
    return pd.DataFrame(rows)


def displacement(frame: pd.DataFrame) -> pd.DataFrame:
    body, before = frame["close"] - frame["open"], pd.Series(atr_of(frame)).shift(1)
    long = (body.abs() > 1.5 * before) & (body.abs() > 0.6 * (frame["high"] - frame["low"]))
    return pd.DataFrame({"": np.sign(body).where(long, 0.0).where(before.notna())})


def mirrored(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the same market with negated prices, so that a fall is a rise."""
    return frame.assign(open=-frame["open"], close=-frame["close"], high=-frame["low"], low=-frame["high"])


def first_from(start: int, true: np.ndarray) -> float:
    """Return the first bar from `start` at which `true` holds; infinity if there is none."""
    after = np.flatnonzero(true[start:])
    return start + after[0] if len(after) else np.inf


def zones(frame: pd.DataFrame, created: list[tuple[int, float, float]], closed_by: str) -> dict[str, np.ndarray]:
    """Follow up zones, (creating bar, bottom, top), until a low at or a close below the bottom closes them."""
    close, low, n = frame["close"].to_numpy(), frame["low"].to_numpy(), len(frame)
    nearest, mitigated = np.full(n, np.nan), np.full(n, np.nan)
    count, touched, closed = np.zeros(n), np.zeros(n), np.zeros(n)
    for i, (t, bottom, top) in enumerate(created):
        forgotten = created[i + 16][0] if i + 16 < len(created) else n
        touch = first_from(t + 1, low <= top)
        end = first_from(t + 1, low <= bottom if closed_by == "low" else close < bottom)
        if touch <= forgotten and touch < n:
            touched[int(touch)] += 1
        if end <= forgotten and end < n:
            closed[int(end)] += 1
        open_ = np.arange(t, int(min(end, forgotten)))
        count[open_] += 1
        highest = open_[~(nearest[open_] > top)]
        nearest[highest], mitigated[highest] = top, touch <= highest
    distance = np.maximum(close - nearest, 0) / atr_of(frame)
    return {"open": count, "distance": distance, "touched": touched, "filled": closed, "mitigated": mitigated}


def gaps_up(frame: pd.DataFrame) -> list[tuple[int, float, float]]:
    open_, high, low, close = (frame[name].to_numpy() for name in ("open", "high", "low", "close"))
    atr = atr_of(frame)
    return [
        (t, high[t - 2], low[t])
        for t in range(2, len(frame))
        if low[t] > high[t - 2] and close[t - 1] > open_[t - 1] and low[t] - high[t - 2] >= 0.1 * atr[t]
    ]


def gap(frame: pd.DataFrame) -> pd.DataFrame:
    size, columns = np.zeros(len(frame)), {}
    for name, sign, market in (("up", 1, frame), ("down", -1, mirrored(frame))):
        created, atr = gaps_up(market), atr_of(market)
        for t, bottom, top in created:
            size[t] = sign * (top - bottom) / atr[t]
        outcomes = zones(market, created, closed_by="low")
        columns |= {f"{name}_{what}": outcomes[what] for what in ("open", "distance", "touched", "filled")}
    return pd.DataFrame({"size": size} | columns)


def blocks_up(frame: pd.DataFrame, side: int) -> list[tuple[int, float, float]]:
    broken, created = breaks(frame, side), []
    highs, falls = swings(frame, side)[0], frame["close"] < frame["open"]
    for t in np.flatnonzero(broken["bos"] + broken["choch"] > 0):
        pivot = max(p for confirmed, p, _ in highs if confirmed < t)
        against = [j for j in range(pivot, t) if falls[j]]
        if against:
            created.append((t, frame["low"][against[-1]], frame["high"][against[-1]]))
    return created


def order_block(frame: pd.DataFrame, side: int) -> pd.DataFrame:
    columns = {}
    for name, market in (("up", frame), ("down", mirrored(frame))):
        outcomes = zones(market, blocks_up(market, side), closed_by="close")
        columns |= {f"{name}_{what}": outcomes[what] for what in ("distance", "mitigated")}
    return pd.DataFrame(columns)
