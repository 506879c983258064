"""What a person reads after a run."""

import io

from rich.console import Console as RichConsole

from mikrobot.app.console import summary_tables

TRAINED = {
    "version": "2",
    "alias": "champion",
    "symbols": ["BTCUSDT"],
    "champion_of": ["BTCUSDT"],
    "metrics": {
        "metrics": {"auc": 0.8534},
        "baselines": {"diffusion_atr": {"auc": 0.8327}, "diffusion_forecast": {"auc": 0.8514}},
        "uplift": {
            "over_atr": {"auc": {"value": 0.0207, "low": 0.0107, "high": 0.0296}},
            "over_forecast": {"auc": {"value": 0.0020, "low": 0.0011, "high": 0.0029}},
        },
    },
}
REFUSED = TRAINED | {"version": "1", "alias": None, "symbols": ["EURUSD"], "champion_of": []}
SUMMARY = {
    "run": "20250701-000000",
    "source": "simulated",
    "simulated": True,
    "symbols": ["EURUSD", "BTCUSDT"],
    "bars": 297391,
    "features": 74,
    "checks": {"passed": 10, "failed": 0, "quarantined": 3},
    "models": {"bos": TRAINED | {"earlier": [REFUSED]}},
    "answered_by": {
        "EURUSD": {"model": "baseline", "version": None, "trained_on": ["EURUSD"]},
        "BTCUSDT": {"model": "bos", "version": "2", "trained_on": ["BTCUSDT"]},
    },
    "drift": {"verdict": "stable", "share": 0.07, "online_rows": 2864, "skewed_rows": 0},
    "arms": {"careful": {"run": "r1-careful", "orders": 1, "trades": 1, "pnl": "3.21"}},
    "trading": {
        "signals": 5,
        "decisions": 9,
        "approved": 2,
        "orders": 2,
        "fills": 4,
        "trades": 2,
        "pnl": "-12.34",
        "max_drawdown": "20.00",
        "ambiguous_share": 0.5,
        "seconds_to_first_order": 81.5,
    },
    "latency_ms": {"predict": {"n": 9, "p50": 2.34, "p99": 5.67}},
    "reports": {"trading": "/tmp/report.html"},
    "services": {"prefect": "http://127.0.0.1:4200"},
    "seconds": 140.1,
}


def shown(summary):
    console = RichConsole(file=io.StringIO(), width=200)
    for table in summary_tables(summary):
        console.print(table)
    return console.file.getvalue()


def test_a_simulated_market_is_called_so_in_the_first_line():
    assert "SIMULATED" in shown(SUMMARY).splitlines()[0]
    assert "SIMULATED" not in shown(SUMMARY | {"simulated": False, "source": "replay"})


def test_the_model_stands_beside_its_baseline_with_the_interval_of_its_uplift():
    assert (
        "v2 from BTCUSDT (champion of BTCUSDT): AUC 0.8534, diffusion 0.8327 by ATR and 0.8514 by forecast, "
        "uplift over the last +0.0020 [+0.0011, +0.0029]"
    ) in shown(SUMMARY)


def test_the_model_of_every_segment_is_shown():
    text = shown(SUMMARY)
    assert text.index("v1 from EURUSD (not promoted)") < text.index("v2 from BTCUSDT (champion of BTCUSDT)")


def test_what_answered_for_each_symbol_is_named():
    text = shown(SUMMARY)
    assert "EURUSD: the diffusion baseline, learned from EURUSD; no model has passed the gate" in text
    assert "BTCUSDT: bos v2, learned from BTCUSDT" in text


def test_money_counts_and_addresses_are_there():
    text = shown(SUMMARY)
    for part in (
        "-12.34 USD",
        "297,391",
        "2 of 9 decisions approved",
        "first order after 81.5",
        "arm careful",
        "1 orders, 1 trades, P&L 3.21 USD (run r1-careful)",
        "http://127.0.0.1:4200",
    ):
        assert part in text
    assert "2,864 read, 0 differ" in text
