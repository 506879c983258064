"""The command `simulate`: results as JSON, and malformed scenarios together with valid ones."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from mikrobot.cli.main import main
from tests.reference.paper.cases import bar, order, quote, scenario, snapshot, submit


def run(capsys: pytest.CaptureFixture[str], *paths: Path) -> tuple[int, Any, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["simulate", *map(str, paths)])
    out, err = capsys.readouterr()
    return int(stopped.value.code or 0), json.loads(out) if out else None, err


def written(folder: Path, name: str, content: dict[str, Any] | str) -> Path:
    path = folder / f"{name}.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content | {"id": name}))
    return path


def test_results_have_the_id_of_their_scenario_as_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound = scenario(quote(0, "1.10000", "1.10010"), submit(10, "a", "buy"), snapshot(20))
    code, results, err = run(capsys, written(tmp_path, "one", sound), written(tmp_path, "two", sound))
    assert (code, err) == (0, "")
    assert results["one"] == results["two"]
    assert results["one"]["fills"][0]["price"] == "1.10010"


@pytest.mark.parametrize(
    ("events", "complaint"),
    [
        ([quote(0, "1.1", "1.2"), {"t": 5, "type": "quota"}], r"event 2 (quota at t=5): unknown event type 'quota'"),
        ([quote(0, "1.10000", "1.09990")], "event 1 (quote at t=0): EURUSD: the bid 110000 is above the ask 109990"),
        ([quote(0, "1.100001", "1.2")], "event 1 (quote at t=0): EURUSD: the bid must be a multiple of 0.00001"),
        ([quote(0, "-1.1", "1.2")], "event 1 (quote at t=0): EURUSD: the bid must be positive"),
        ([quote(0, "NaN", "1.2")], "event 1 (quote at t=0): bid must be finite"),
        ([quote(9, "1.1", "1.2"), quote(3, "1.1", "1.2")], "event 2 (quote at t=3): it is earlier than the event"),
        ([quote(0, "1.1", "1.2", symbol="EURXXX")], "event 1 (quote at t=0): no instrument has the symbol 'EURXXX'"),
        ([submit(0, "a", "bye")], "event 1 (submit at t=0): side must be one of buy, sell, not 'bye'"),
        ([submit(0, "a", "buy", "many")], "event 1 (submit at t=0): qty must be a number, not 'many'"),
        ([{"t": 0, "type": "cancel", "id": "x"}], "event 1 (cancel at t=0): no order 'x' has been submitted"),
        ([{"t": "soon", "type": "snapshot"}], "event 1 (snapshot at t=soon): t must be whole milliseconds"),
        ([["quote"]], "event 1: expected an object"),
        ([{"t": 0, "type": "bar", "symbol": "EURUSD", "open": "1", "high": "1", "low": "2", "close": "1"}], "0 < low"),
    ],
)
def test_a_malformed_scenario_names_its_event_and_the_others_are_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], events: list[Any], complaint: str
) -> None:
    bad = written(tmp_path, "bad", scenario(*events))
    good = written(tmp_path, "good", scenario(quote(0, "1.1", "1.2")))
    code, results, err = run(capsys, bad, good)
    assert code == 1
    assert complaint in results["bad"]["error"]
    assert results["good"]["final"]["balances"] == {"USD": "10000.00"}
    assert err == "error: 1 of 2 scenarios are invalid: bad; see their error\n"


def sound() -> dict[str, Any]:
    """Return a valid scenario with every part that the cases below break."""
    pair = {"t": 10, "type": "oco", "orders": [order("x", "buy"), order("y", "sell")]}
    entry = {"type": "limit", "price": "1.09900"}
    held = submit(11, "B", "buy", type="bracket", entry=entry, sl="1.09700", tp="1.10300")
    finer = bar(60_000, *["1.10000"] * 4)
    events = [quote(0, "1.10000", "1.10010"), pair, held, bar(60_000, *["1.10000"] * 4, detail=[finer])]
    return copy.deepcopy(scenario(*events, snapshot(70_000)))


def at(story: dict[str, Any], *path: str | int) -> Any:
    for step in path:
        story = story[step]  # type: ignore[index]
    return story


@pytest.mark.parametrize(
    ("path", "key", "complaint"),
    [
        ((), "event", "a scenario has no key 'event'"),
        (("account",), "margin", "account: an account has no key 'margin'"),
        (("instruments", 0), "minNotional", "instrument 1: an instrument has no key 'minNotional'"),
        (("events", 0), "mid", "event 1 (quote at t=0): a quote has no key 'mid'"),
        (("events", 1, "orders", 1), "reduceOnly", "event 2 (oco at t=10): an order has no key 'reduceOnly'"),
        (("events", 1, "orders", 1), "sl", "event 2 (oco at t=10): an order has no key 'sl'"),
        (("events", 2, "order"), "trail", "event 3 (submit at t=11): a bracket has no key 'trail'"),
        (("events", 2, "order", "entry"), "qty", "event 3 (submit at t=11): an entry has no key 'qty'"),
        (("events", 3, "detail", 0), "volume", "event 4 (bar at t=60000): a finer bar has no key 'volume'"),
        (("events", 4), "id", "event 5 (snapshot at t=70000): a snapshot has no key 'id'"),
    ],
)
def test_a_key_that_is_not_known_is_refused_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], path: tuple[str | int, ...], key: str, complaint: str
) -> None:
    story = sound()
    at(story, *path)[key] = "1"
    _, results, _ = run(capsys, written(tmp_path, "odd", story), written(tmp_path, "good", sound()))
    assert results["odd"]["error"].startswith(complaint)
    assert "final" in results["good"]


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (("account", "balances"), [], "account: balances must be an object of currencies and amounts, not []"),
        (("account", "balances", "USD"), "-1", "account: balance USD must be 0 or more, not -1"),
        (("account", "netting"), "no", "account: netting must be true or false, not 'no'"),
        (("account", "leverage"), "NaN", "account: leverage must be finite, not 'NaN'"),
        (("instruments", 0, "lot"), 0, "instrument 1: lot must be positive, not 0"),
        (
            ("instruments", 0, "tick"),
            "1e-999999",
            "instrument 1: tick must be below 10^16 and have at most 18 decimals",
        ),
        (
            ("instruments", 0, "maintenance_rate"),
            "1",
            "instrument 1: maintenance_rate must be a share from 0 to below 1",
        ),
        (("instruments", 1, "symbol"), "EURUSD", "instruments: a symbol is listed twice"),
        (("instruments",), None, "the scenario: instruments is missing"),
        (("events",), {}, "the scenario: events must be a list, not {}"),
        (("events", 1, "orders"), [None, None], "event 2 (oco at t=10): an order must be an object, not None"),
        (("events", 1, "orders", 0, "qty"), "1e999999", "event 2 (oco at t=10): qty must be below 10^16"),
        (("events", 1, "orders", 0, "id"), ["x"], "event 2 (oco at t=10): order: id must be text, not ['x']"),
        (("events", 2, "order", "post_only"), "false", "event 3 (submit at t=11): post_only must be true or false"),
        (("events", 3, "detail"), "finer", "event 4 (bar at t=60000): bar: detail must be a list, not 'finer'"),
        (("events", 3, "detail", 0, "t"), 60_001, "event 4 (bar at t=60000): a finer bar closes at t=60001, after"),
        (
            ("events", 3, "detail", 0, "high"),
            "1.10001",
            "event 4 (bar at t=60000): the finer bar at t=60000 goes from 1.10000 to 1.10001, beyond the bar that it",
        ),
        (("events", 3, "detail", 0, "low"), "1.09999", "event 4 (bar at t=60000): the finer bar at t=60000 goes from"),
        (("events", 3, "low"), "1.10001", "event 4 (bar at t=60000): the open or the close of the bar is outside"),
        (("events", 1, "orders", 0, "qty"), "1_0", "event 2 (oco at t=10): qty must be a number, not '1_0'"),
        (("events", 1, "orders", 0, "qty"), "\u0661", "event 2 (oco at t=10): qty must be a number, not '\u0661'"),
        (("account", "balances", "USD"), " 1", "account: balance 'USD' must be a number, not ' 1'"),
        (("events", 4, "t"), 1_709_510_400_000_000, "event 5 (snapshot at t=1709510400000000): t must be whole milli"),
        (("events", 4, "type"), ["snapshot"], "event 5 (['snapshot'] at t=70000): unknown event type ['snapshot']"),
    ],
)
def test_an_invalid_part_is_refused_and_the_others_are_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], path: tuple[str | int, ...], value: Any, complaint: str
) -> None:
    story = sound()
    at(story, *path[:-1])[path[-1]] = value
    _, results, _ = run(capsys, written(tmp_path, "odd", story), written(tmp_path, "good", sound()))
    assert results["odd"]["error"].startswith(complaint)
    assert "final" in results["good"]


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"id": 1' + "0" * 5000 + "}",
        '{"id": 7}',
        '"x"',
        "not json",
        "[]",
        "{}",
        '{"account": {}, "instruments": [{}], "events": []}',
    ],
)
def test_a_file_that_is_no_scenario_is_an_error_under_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    code, results, _ = run(capsys, written(tmp_path, "odd", content))
    assert code == 1
    assert list(results["odd"]) == ["error"]


def test_an_id_that_is_no_text_at_all_ends_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, results, err = run(capsys, written(tmp_path, "odd", '{"id": "\\ud800"}'))
    assert (code, list(results)) == (1, ["\ud800"])
    assert err == "error: 1 of 1 scenarios are invalid: \\ud800; see their error\n"


def test_a_file_that_is_not_there_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, results, err = run(capsys, tmp_path / "none.json")
    assert (code, results) == (2, None)
    assert "does not exist" in err
