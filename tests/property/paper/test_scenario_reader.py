"""Randomly broken scenarios: each is simulated or refused with a `ScenarioError`."""

import copy
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mikrobot.domain.errors import ScenarioError
from mikrobot.paper.scenario import simulate
from tests.reference.paper.cases import (
    BTCUSDT,
    CASH,
    DOLLARS,
    EURJPY,
    EURUSD,
    PERP,
    TETHER,
    USDJPY,
    bar,
    book,
    bracket,
    order,
    quote,
    scenario,
    snapshot,
    submit,
)
from tests.soak import examples

many = settings(max_examples=examples(1000), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

FX = scenario(
    quote(0, "1.10000", "1.10010"),
    quote(0, "150.000", "150.010", "USDJPY") | {"conversion_only": True},
    quote(1, "165.000", "165.010", "EURJPY"),
    submit(10, "a", "buy", "20000", symbol="EURJPY"),
    bracket(11, "buy", "1.09800", "1.10300", {"type": "limit", "price": "1.09900"}),
    submit(12, "t", "sell", "1000", type="trailing_stop", trail_pct="0.5", activation="1.10100", reduce_only=False),
    submit(13, "g", "buy", "1000", "limit", price="1.09000", tif="GTD", expire_t=90_000),
    {"t": 14, "type": "modify", "id": "g", "price": "1.09100", "qty": "2000"},
    bar(60_000, "1.10000", "1.10400", "1.09700", "1.10100", spread="0.00010"),
    bar(120_000, "1.10100", "1.10200", "1.05000", "1.06000", detail=[bar(90_000, *["1.10100"] * 4)]),
    {"t": 130_000, "type": "cancel", "id": "g"},
    {"t": 130_000, "type": "deposit", "currency": "USD", "amount": "-100.00"},
    snapshot(140_000),
    account=DOLLARS | {"netting": False, "commission_per_lot": "3.50", "commission_ccy": "USD", "lot": "100000"},
) | {"instruments": [EURUSD | {"swap_long": "-6.5", "swap_short": "1.2", "session": "always"}, USDJPY, EURJPY]}

SPOT = scenario(
    book(0, [["49990.00", "1"]], [["50000.00", "0.3"], ["50010.00", "0.5"]]),
    bracket(10, "buy", "49000.00", "52000.00", symbol="BTCUSDT", qty="0.4"),
    {
        "t": 11,
        "type": "oco",
        "orders": [
            order("lo", "sell", "1", "limit", symbol="BTCUSDT", price="51000.00"),
            order("hi", "sell", "1", "stop_limit", symbol="BTCUSDT", stop="49500.00", price="49400.00"),
        ],
    },
    submit(12, "p", "buy", "0.1", "limit", symbol="BTCUSDT", price="49000.00", post_only=True),
    book(20, [["48990.00", "5"]], [["49100.00", "5"]]),
    snapshot(30),
    account=CASH,
) | {"instruments": [BTCUSDT | {"min_notional": "10", "price_precision": 2, "size_precision": 6}]}

PERPETUAL = scenario(
    book(0, [["50000.0", "9"]], [["50000.1", "9"]], "BTCPERP"),
    submit(10, "a", "buy", "1", symbol="BTCPERP"),
    {"t": 20, "type": "funding", "symbol": "BTCPERP", "rate": "0.0001", "mark": "50000.0"},
    submit(30, "b", "sell", "1.5", "stop", symbol="BTCPERP", stop="48000.0"),
    book(40, [["47000.0", "0.3"]], [["47000.1", "9"]], "BTCPERP"),
    book(50, [["20000.0", "0.3"]], [["20000.1", "9"]], "BTCPERP"),
    snapshot(60),
    account=TETHER,
) | {"instruments": [PERP | {"maintenance_rate": "0.005", "margin_rate": "1"}]}

VALID = (FX, SPOT, PERPETUAL)

JUNK: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 10**30, -(10**30), 1_709_510_400_000_000_000, 0.5, float("nan"), float("inf"), "",
    "x", "NaN", "-Infinity", "1e999999", "1e-999999", "-5", "0", "1e15", "1e-18", "9" * 500, "\ud800", [], [[]], [None],
    [1, 2], {}, {"a": 1}, "buy", "market", "trailing_stop", "bracket", "a", "USD", "JPY", "cash", "perp", "spot",
)  # fmt: skip

Path = tuple[str | int, ...]


def places(part: Any, path: Path = ()) -> list[Path]:
    """Return the paths of all values inside a scenario."""
    inner = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    return [deeper for key, value in inner for deeper in [(*path, key), *places(value, (*path, key))]]


@st.composite
def broken(draw: st.DrawFn) -> Any:
    """Draw a valid scenario with one to three random changes."""
    story = copy.deepcopy(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(1, 3))):
        if not (paths := places(story)):
            break
        *above, key = draw(st.sampled_from(paths))
        holder = story
        for step in above:
            holder = holder[step]
        _break(draw, holder, key)
    return story


def _break(draw: st.DrawFn, holder: Any, key: Any) -> None:
    match draw(st.integers(0, 5)):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        case 2 if isinstance(holder, list):
            holder.reverse()
        case 1 | 2:
            holder[draw(st.sampled_from(("reduceOnly", "activation", "sl", "spread", "detail", "ticket")))] = holder[
                key
            ]
        case _:
            holder[key] = copy.deepcopy(draw(st.sampled_from(JUNK)))


def outcome(story: Any) -> dict[str, Any]:
    """Return the result of a scenario, or its error."""
    try:
        return simulate(story)
    except ScenarioError as error:
        return {"error": str(error)}


def test_the_unbroken_scenarios_are_valid() -> None:
    assert all("error" not in outcome(story) for story in VALID)


@many
@given(broken())
def test_a_broken_scenario_gives_a_result_or_an_error_as_json(story: Any) -> None:
    answer = json.loads(json.dumps(outcome(story)))
    assert "error" in answer or "final" in answer


@many
@given(broken())
def test_no_broken_scenario_gives_a_cash_account_a_negative_balance(story: Any) -> None:
    """The balances of a cash account stay at 0 or above in every broken scenario."""
    answer = outcome(story)
    if "final" in answer and story["account"]["type"] == "cash":
        assert all(not amount.startswith("-") for amount in answer["final"]["balances"].values())
