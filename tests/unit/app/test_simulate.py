"""The command `simulate`: results as JSON, a malformed scenario beside sound ones."""

import json
from pathlib import Path
from typing import Any

import pytest

from mikrobot.app.cli import main
from tests.reference.paper.cases import quote, scenario, snapshot, submit


def run(capsys: pytest.CaptureFixture[str], *paths: Path) -> tuple[int, Any, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["simulate", *map(str, paths)])
    out, err = capsys.readouterr()
    return int(stopped.value.code or 0), json.loads(out) if out else None, err


def written(folder: Path, name: str, content: dict[str, Any] | str) -> Path:
    path = folder / f"{name}.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content | {"id": name}))
    return path


def test_results_stand_under_the_id_of_each_scenario(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound = scenario(quote(0, "1.10000", "1.10010"), submit(10, "a", "buy"), snapshot(20))
    code, results, err = run(capsys, written(tmp_path, "one", sound), written(tmp_path, "two", sound))
    assert (code, err) == (0, "")
    assert results["one"] == results["two"]
    assert results["one"]["fills"][0]["price"] == "1.10010"


@pytest.mark.parametrize(
    ("events", "complaint"),
    [
        ([quote(0, "1.1", "1.2"), {"t": 5, "type": "quota"}], r"event 2 (quota at t=5): there is no event 'quota'"),
        ([quote(0, "1.10000", "1.09990")], "event 1 (quote at t=0): EURUSD: the bid 110000 is above the ask 109990"),
        ([quote(0, "1.100001", "1.2")], "event 1 (quote at t=0): EURUSD: the bid must be a multiple of 0.00001"),
        ([quote(0, "-1.1", "1.2")], "event 1 (quote at t=0): EURUSD: the bid must be positive"),
        ([quote(0, "NaN", "1.2")], "event 1 (quote at t=0): bid must be finite"),
        ([quote(9, "1.1", "1.2"), quote(3, "1.1", "1.2")], "event 2 (quote at t=3): it lies before the event ahead"),
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
    assert err == "error: 1 of 2 scenarios make no sense: bad; see their error\n"


@pytest.mark.parametrize("content", ["not json", "[]", "{}", '{"account": {}, "instruments": [{}], "events": []}'])
def test_a_file_that_is_no_scenario_is_an_error_under_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    code, results, _ = run(capsys, written(tmp_path, "odd", content))
    assert code == 1
    assert list(results["odd"]) == ["error"]


def test_a_file_that_is_not_there_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, results, err = run(capsys, tmp_path / "none.json")
    assert (code, results) == (2, None)
    assert "does not exist" in err
