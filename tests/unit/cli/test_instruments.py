"""`mikrobot instruments list | show | infer`."""

import json
import tomllib
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from mikrobot.cli.main import main
from mikrobot.domain.instruments import registry


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(["instruments", *arguments])
    return stopped.value.code or 0, *capsys.readouterr()


def test_the_list_has_every_instrument_by_class(capsys, tmp_path):
    (tmp_path / "instruments.toml").write_text("[EURUSD]\nspread = 0.00002\n[SUIUSDT]\ntick = 0.0001\n")
    code, out, err = run(capsys, "list")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert [row[0] for row in rows if row[0] in registry.entries.ASSET_CLASSES] == [*registry.entries.ASSET_CLASSES]
    assert any(row[:4] == ["metal", "XAUUSD", "USD", "cme"] for row in rows)
    assert any(row[:2] == ["SUIUSDT", "(file)"] for row in rows)
    code, out, err = run(capsys, "list", "--json")
    listed = json.loads(out)
    assert set(listed) == set(registry.symbols())
    assert (listed["EURUSD"]["spread"], listed["EURUSD"]["origin"]) == ("0.00002", "file")


def test_show_prints_an_entry_by_any_name_as_toml_and_json(capsys):
    code, out, err = run(capsys, "show", "gold")
    assert (code, err) == (0, "")
    assert tomllib.loads(out, parse_float=Decimal)["XAUUSD"]["lot"] == 100
    code, out, err = run(capsys, "show", "XAUUSD", "--json")
    assert json.loads(out)["symbol"] == "XAUUSD"


@pytest.mark.parametrize("symbol", ["NOPE", "SUIUSDT"])
def test_show_refuses_a_symbol_in_no_table_in_one_line(capsys, symbol):
    code, out, err = run(capsys, "show", symbol)
    assert (code, out) == (2, "")
    assert f"unknown symbol '{symbol}'" in err
    assert err.count("\n") == 1


def test_infer_prints_an_entry_that_the_file_of_instruments_accepts(capsys, tmp_path):
    rng = np.random.default_rng(3)
    close = np.round(1.2 + np.cumsum(rng.integers(-3, 4, 600)) * 0.0001, 4)
    prices = {"open": close, "high": close + 0.0002, "low": close - 0.0002, "close": close}
    opened = pd.date_range("2024-05-06", periods=600, freq="min", tz="UTC")
    pd.DataFrame({"ts": opened, **prices}).round(4).to_parquet("SUIUSDT_1m.parquet")
    code, out, _ = run(capsys, "infer", "SUIUSDT_1m.parquet")
    assert code == 0
    (tmp_path / "instruments.toml").write_text(out)
    code, shown, err = run(capsys, "show", "SUIUSDT", "--json")
    assert (code, err) == (0, "")
    assert (json.loads(shown)["tick"], json.loads(shown)["origin"]) == ("0.0001", "file")


def test_a_wrong_file_of_instruments_is_one_line_and_exit_code_2(capsys, tmp_path):
    (tmp_path / "instruments.toml").write_text("[EURUSD]\nspred = 1\n")
    code, out, err = run(capsys, "list")
    assert (code, out) == (2, "")
    assert "instruments.toml: entry EURUSD: spred is not a key of an instrument" in err
