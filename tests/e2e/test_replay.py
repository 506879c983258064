"""The whole loop on a small replay: a run on an empty folder, then another on a stack that stays up."""

import json
import math
import re
import shlex
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pandas as pd
import pytest
import yaml

from mikrobot.domain.market import Timeframe
from mikrobot.domain.trading import Decision, Fill, FillReason, OrderIntent, Prediction, Side
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.live import accounts
from mikrobot.market.replay import read_bars
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.stack import service_table
from mikrobot.store import web_access
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import Ledger
from mikrobot.store.postgres import database
from mikrobot.store.runs import Runs
from tests.replay_run import HISTORY_DAYS, Outcome

CLOCK = SystemClock()
TRADED = (datetime(2025, 3, 14, 10, tzinfo=UTC), datetime(2025, 3, 14, 12, tzinfo=UTC))
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

DECLARED = {
    entry["name"]: entry for entry in yaml.safe_load((service_table.ROOT / "prefect.yaml").read_text())["deployments"]
}
ARTIFACTS = {
    "ingest": {"ingest", "ingest-progress"},
    "materialize": {"materialize", "materialize-progress"},
    "train": {"training", "train-progress"},
    "monitor": {"feature-quality", "feature-quality-html", "drift", "drift-html", "intervals", "challenger"}
    | {"performance", "performance-html", "performance-progress", "quality-progress", "drift-progress"}
    | {"recalibrate-progress", "challenger-progress"},
    "report": {"trading-report", "trading-report-html", "trading-report-png", "report-progress"},
    "report-weekly": {f"trading-report-7-days{kind}" for kind in ("", "-html", "-png")},
    "retrain": {"retrain"},
}
"""Keys of the artifacts that a run of each deployment leaves."""

STAGES = ("ingest", "materialize", "train", "trade")
"""Stages that run for each segment of a run."""

REVIEWS = ("quality", "drift", "performance", "recalibrate", "challenger", "report")
"""Steps that follow the trading."""

FLOWS = ("loop", "ingest", "materialize", "train", "trade", "monitor", "report")
CONTRACT = {
    "source": str, "simulated": bool, "symbols": list, "bars": int, "features": int, "checks": dict, "models": dict,
    "answered_by": dict, "drift": dict, "trading": dict, "arms": dict, "latency_ms": dict, "reports": dict,
    "services": dict, "seconds": float,
}  # fmt: skip
PARTS = {
    "checks": {"passed", "failed"},
    "drift": {"verdict", "share", "report"},
    "trading": {
        "signals", "decisions", "approved", "orders", "fills", "trades", "pnl", "max_drawdown", "ambiguous_share",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Traded:
    """The records of a run in the ledger."""

    predictions: list[Prediction]
    decisions: list[Decision]
    orders: list[OrderIntent]
    fills: list[Fill]
    skips: list[Any]


def traded(program: Any, run_id: str) -> Traded:
    with database.open_pool(program.settings) as pool:
        ledger = Ledger(pool)
        return Traded(
            ledger.predictions(run_id), ledger.decisions(run_id), ledger.orders(run_id),
            accounts.fills(ledger, Runs(pool).get(run_id)), ledger.skips(run_id),
        )  # fmt: skip


@pytest.fixture(scope="module")
def ledger(running, first) -> Traded:
    return traded(running, first.summary["run"])


def test_the_only_output_is_one_json_object_that_keeps_the_contract(first):
    summary = first.summary
    assert {name: type(summary.get(name)) for name in CONTRACT} == CONTRACT
    for part, names in PARTS.items():
        assert names <= summary[part].keys(), part
    for model in summary["models"].values():
        assert {"version", "alias", "metrics"} <= model.keys()
    for stage, times in summary["latency_ms"].items():
        assert 0 < times["p50"] <= times["p99"], stage
    assert (summary["source"], summary["simulated"]) == ("replay", False)
    assert sorted(summary["symbols"]) == ["BTCUSDT", "EURUSD"]
    assert summary["features"] == len(CATALOG.columns)


def finished(err: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return the finished stages that a run without a terminal reports, each with its symbols."""
    lines = re.findall(r"^  (\w+) +([A-Z0-9]+(?:, [A-Z0-9]+)*)? +\d+ s  \S", err, re.MULTILINE)
    return [(stage, tuple(symbols.split(", ")) if symbols else ()) for stage, symbols in lines]


def test_every_stage_leaves_a_line_with_its_symbols_and_the_steps_after_trading_too(first):
    lines = finished(first.err)
    for stage in STAGES:
        named = {symbol for name, symbols in lines if name == stage for symbol in symbols}
        assert named == set(first.summary["symbols"]), stage
    assert [name for name, _ in lines[-len(REVIEWS) :]] == list(REVIEWS)


def test_the_summary_names_only_pages_that_are_still_up(first, second):
    assert first.summary["services"] == {}
    assert {"prefect", "mlflow", "bento"} == second.summary["services"].keys()


def test_every_stage_of_the_loop_did_its_work(first, bar_files):
    summary = first.summary
    assert summary["checks"]["passed"] > 0
    assert {suite["suite"] for suite in summary["checks"]["suites"]} == {"bars", "features"}
    assert summary["bars"] == sum(len(history_of(path)) for path in bar_files.values())
    assert summary["trading"]["orders"] > 0
    assert summary["trading"]["fills"] > 0


def test_the_baseline_answers_where_no_model_has_shown_skill(first):
    """Five days are too few for an interval of the uplift: no model is promoted, and trading continues."""
    model = first.summary["models"]["bos"]
    assert (model["alias"], model["champion_of"]) == (None, [])
    assert "skill refused: AUC uplift over the diffusion baseline" in model["reason"]
    answered = {"model": "baseline", "version": None, "trained_on": ["BTCUSDT", "EURUSD"]}
    assert first.summary["answered_by"] == {"BTCUSDT": answered, "EURUSD": answered}


def test_the_model_learned_from_nothing_later_than_the_first_hour_traded(first):
    trained_until = datetime.fromisoformat(first.summary["models"]["bos"]["trained_until"])
    assert trained_until <= TRADED[0]


def test_rows_read_online_equal_the_offline_rows_bit_for_bit(first):
    drift = first.summary["drift"]
    assert drift["online_rows"] > 0
    assert drift["skewed_rows"] == 0


def test_once_leaves_no_process_and_no_port_behind(first):
    assert first.left == []


def test_the_reports_open_without_a_network(first):
    reports = first.summary["reports"]
    assert {"drift", "quality", "performance", "trading"} <= reports.keys()
    pages = [Path(path) for path in reports.values() if path.endswith(".html")]
    assert len(pages) == 4
    for path in pages:
        page = Loaded()
        page.feed(path.read_text())
        assert page.closed
        assert [address for address in page.addresses if re.match(r"(https?:)?//", address)] == []


def test_each_prediction_saw_the_row_that_the_pipeline_makes_of_the_file(ledger, bar_files):
    rows = {}
    for path in bar_files.values():
        symbol, bars = read_bars(path)
        frame = FeaturePipeline([symbol]).frame(symbol, bars[bars["open_time"] >= history_from()])
        rows |= {(symbol, row["close_time"].to_pydatetime()): row for row in frame.to_dict("records")}
    for prediction in ledger.predictions:
        row = rows[prediction.symbol, prediction.close_time]
        where = (prediction.symbol, prediction.close_time)
        assert all(same(value, row[name]) for name, value in prediction.features.items()), where


def test_predictions_name_the_model_the_features_and_a_traded_minute(ledger, first):
    model = first.summary["models"]["bos"]
    origins = {(prediction.model, prediction.model_version) for prediction in ledger.predictions}
    assert origins == {("baseline", model["version"])}
    by = f"answered by the diffusion baseline of version {model['version']}, learned from BTCUSDT, EURUSD"
    assert {decision.reasons[0] for decision in ledger.decisions} == {by}
    assert {prediction.feature_hash for prediction in ledger.predictions} == {CATALOG.version}
    assert all(0 <= prediction.probability <= 1 for prediction in ledger.predictions)
    assert all(TRADED[0] < prediction.close_time <= TRADED[1] for prediction in ledger.predictions)


def test_every_bar_of_the_traded_hours_was_decided_once_and_none_skipped(ledger, bar_files):
    bars = {(symbol, opened + MINUTE) for symbol, path in bar_files.items() for opened in opens(path)}
    assert sorted((decision.symbol, decision.close_time) for decision in ledger.decisions) == sorted(bars)
    assert ledger.skips == []


def test_every_approved_decision_has_one_order_and_no_other_decision_has_any(ledger):
    approved = {decision.id: decision for decision in ledger.decisions if decision.approved}
    assert [order.decision_id for order in ledger.orders] == list(approved)
    for order in ledger.orders:
        decision = approved[order.decision_id]
        assert (order.symbol, order.side) == (decision.symbol, decision.side)
        assert order.submitted_at == decision.close_time < order.expires_at
        assert order.lots > 0
        assert order.side.sign * (order.target - order.stop) > 0


def test_every_fill_belongs_to_an_order_enters_once_and_leaves_at_most_once(ledger):
    orders = {order.id: order for order in ledger.orders}
    by_order = {key: list(fills) for key, fills in groupby(sorted(ledger.fills, key=order_of), key=order_of)}
    for order_id, fills in by_order.items():
        order, (entry, *exits) = orders[order_id], fills
        assert (entry.reason, entry.side, entry.pnl) == (FillReason.ENTRY, order.side, 0)
        assert len(exits) <= 1
        for leaving in exits:
            assert leaving.reason is not FillReason.ENTRY
            assert leaving.side is order.side.opposite
            assert leaving.filled_at >= entry.filled_at
        assert {fill.lots for fill in fills} == {order.lots}
        assert {fill.symbol for fill in fills} == {order.symbol}
    assert len({fill.id for fill in ledger.fills}) == len(ledger.fills)


def test_entries_are_at_the_open_of_the_next_bar_beyond_its_spread_only(ledger, bar_files):
    bars = {symbol: read_bars(path)[1].set_index("open_time") for symbol, path in bar_files.items()}
    for fill in (fill for fill in ledger.fills if fill.reason is FillReason.ENTRY):
        bar = bars[fill.symbol].loc[fill.filled_at]
        bid = Decimal(bar["open"])
        paid = fill.price - bid if fill.side is Side.BUY else bid - fill.price
        assert paid + Decimal("0.01") * Decimal(bar["spread"]) >= 0
        assert paid <= Decimal("2.01") * Decimal(bar["spread"])


def test_the_summary_counts_what_the_ledger_holds(ledger, first):
    trading = first.summary["trading"]
    counted = {name: trading[name] for name in ("decisions", "approved", "orders", "fills")}
    approved = sum(decision.approved for decision in ledger.decisions)
    held = (len(ledger.decisions), approved, len(ledger.orders), len(ledger.fills))
    assert tuple(counted.values()) == held
    exits = {fill.order_id for fill in ledger.fills if fill.reason is not FillReason.ENTRY}
    pnl = sum((fill.pnl - fill.fee for fill in ledger.fills if fill.order_id in exits), Decimal(0))
    assert Decimal(trading["pnl"]) == pnl


def test_prefect_shows_every_flow_completed_with_its_artifacts(running, second):
    runs = prefect(running, "flow_runs", {"flow_runs": {"deployment_id": {"is_null_": True}}})
    names = {flow["id"]: flow["name"] for flow in prefect(running, "flows", {})}
    states = {(names[run["flow_id"]], run["state_type"]) for run in runs}
    assert states == {(name, "COMPLETED") for name in FLOWS}
    ours = {run["id"] for run in runs}
    listed = prefect(running, "artifacts", {"limit": 200})
    artifacts = [artifact for artifact in listed if artifact["flow_run_id"] in ours]
    kinds = {(artifact["type"], artifact["key"]) for artifact in artifacts}
    assert {("table", "ingest"), ("table", "materialize"), ("markdown", "training")} <= kinds
    assert {("markdown", "drift"), ("markdown", "trading-report"), ("progress", "trade-progress")} <= kinds
    assert {artifact["data"] for artifact in artifacts if artifact["type"] == "progress"} == {100.0}


def test_mlflow_shows_the_run_with_its_metrics_and_whose_baseline_answers(running, second):
    api = f"{running.settings.mlflow_url}/api/2.0/mlflow"
    model = second.summary["models"]["bos"]
    for symbol in ("EURUSD", "BTCUSDT"):
        standing = get(running, f"{api}/registered-models/alias", name="bos", alias=f"baseline-replay-{symbol}")[
            "model_version"
        ]
        assert standing["version"] == model["version"]
    logged = get(running, f"{api}/runs/get", run_id=standing["run_id"])["run"]
    metrics = {metric["key"]: metric["value"] for metric in logged["data"]["metrics"]}
    judged = model["metrics"]["metrics"]
    assert metrics["metrics.auc"] == pytest.approx(judged["auc"])
    assert metrics["metrics.brier"] == pytest.approx(judged["brier"])


def test_bentoml_counts_the_requests_of_the_run(running, second):
    page = httpx.get(f"{running.settings.bento_url}/metrics", auth=login(running, "bento"))
    metrics = page.raise_for_status().text
    answered = re.findall(r'^bentoml_service_request_total\{(.*endpoint="/predict",.*)\} (\S+)$', metrics, re.MULTILINE)
    succeeded = sum(float(count) for labels, count in answered if 'code="200"' in labels)
    assert succeeded == second.summary["trading"]["decisions"]


def test_a_second_run_stores_the_same_bars_and_trades_the_same_fills(running, first, second, bar_files):
    with database.open_pool(running.settings) as pool:
        for symbol, path in bar_files.items():
            stored = BarStore(pool).range("replay", symbol, Timeframe.M1, BEGINNING, end=TRADED[1])
            pd.testing.assert_frame_equal(stored, history_of(path).reset_index(drop=True))
    assert second.summary["bars"] == first.summary["bars"]
    runs = (first.summary["run"], second.summary["run"])
    fills = [[anonymous(fill, run_id) for fill in traded(running, run_id).fills] for run_id in runs]
    assert fills[0] == fills[1]


@pytest.fixture(scope="module")
def scheduled(running, second) -> dict[str, dict[str, Any]]:
    """Return the run of each deployment after its cron was replaced by that of one of the next minutes.

    All of them are due in the same minute; the retraining is started by an event as that of the monitor flow, which
    has too little history here to judge. Prefect plans a deployment that has been updated within five seconds, but
    looks at changed schedules alone only once in a minute.
    """
    due = (CLOCK.now() + timedelta(seconds=80)).replace(second=0, microsecond=0)
    deployments = prefect(running, "deployments", {})
    api = f"{running.settings.prefect_url}/api/deployments"
    for deployment in deployments:
        for schedule in deployment["schedules"]:
            cron = {"schedule": {"cron": f"{due.minute} * * * *", "timezone": schedule["schedule"]["timezone"]}}
            address = f"{api}/{deployment['id']}/schedules/{schedule['id']}"
            httpx.patch(address, json=cron, auth=login(running, "prefect")).raise_for_status()
        same = {"description": deployment["description"]}
        httpx.patch(f"{api}/{deployment['id']}", json=same, auth=login(running, "prefect")).raise_for_status()
    names = {deployment["id"]: deployment["name"] for deployment in deployments}
    ended: dict[str, dict[str, Any]] = {}

    def all_ended() -> bool:
        state = {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}
        since = {"after_": due.isoformat()}
        chosen = {"deployment_id": {"is_null_": False}, "state": state, "expected_start_time": since}
        ended.update({names[run["deployment_id"]]: run for run in prefect(running, "flow_runs", {"flow_runs": chosen})})
        return ended.keys() == DECLARED.keys()

    degraded = {
        "id": str(uuid4()), "occurred": CLOCK.now().isoformat(), "event": "mikrobot.degraded",
        "resource": {"prefect.resource.id": "mikrobot.models.replay"}, "payload": {"reason": "for the test"},
    }  # fmt: skip
    wait_until(lambda: CLOCK.now() > due, "the minute did not come", CLOCK, timeout_s=200)
    events = f"{running.settings.prefect_url}/api/events"
    httpx.post(events, json=[degraded], auth=login(running, "prefect")).raise_for_status()
    wait_until(all_ended, "some deployment did not run by its schedule", CLOCK, timeout_s=900, every_s=2.0)
    return ended


def test_every_deployment_runs_by_its_schedule_with_the_parameters_of_prefect_yaml(scheduled):
    for name, entry in DECLARED.items():
        run = scheduled[name]
        assert run["state_type"] == "COMPLETED", (name, run["state"]["message"])
        if name == "retrain":
            assert run["created_by"]["type"] == "AUTOMATION"
            assert run["parameters"]["reason"].startswith("degraded: ")
        else:
            assert run["auto_scheduled"], name
            assert run["created_by"]["type"] == "SCHEDULE"
            assert run["parameters"] == entry.get("parameters", {})


def test_every_scheduled_run_leaves_its_artifacts(running, scheduled):
    artifacts = prefect(running, "artifacts", {"limit": 200, "sort": "CREATED_DESC"})
    for name, run in scheduled.items():
        keys = {artifact["key"] for artifact in artifacts if artifact["flow_run_id"] == run["id"]}
        assert keys >= ARTIFACTS[name], name
    [drift] = [
        artifact
        for artifact in artifacts
        if artifact["key"] == "drift" and artifact["flow_run_id"] == scheduled["monitor"]["id"]
    ]
    assert re.search(r"Of \d+ rows that were read online, 0 differ", drift["data"])


def test_the_links_of_scheduled_runs_open(running, scheduled):
    ours = {run["id"] for run in scheduled.values()}
    artifacts = prefect(running, "artifacts", {"limit": 200, "sort": "CREATED_DESC"})
    links = [
        artifact["data"]
        for artifact in artifacts
        if artifact["flow_run_id"] in ours and artifact["key"].endswith(("html", "png"))
    ]
    addresses = [re.search(r"\]\((.*)\)", link)[1] for link in links]
    assert len(addresses) == 7
    for address in addresses:
        assert address.startswith(running.settings.bento_url)
        page = httpx.get(address, auth=login(running, "bento"))
        assert page.headers["content-type"].partition(";")[0] in ("text/html", "image/png")


def test_every_scheduled_run_has_a_log_with_a_line_of_each_of_its_steps(running, scheduled):
    for name, run in scheduled.items():
        lines = prefect(running, "logs", {"logs": {"flow_run_id": {"any_": [run["id"]]}}})
        tasks = prefect(running, "task_runs", {"flow_runs": {"id": {"any_": [run["id"]]}}})
        logged = {line["task_run_id"] for line in lines if "Finished in state" not in line["message"]}
        assert {task["id"] for task in tasks if not starts_a_flow(task)} <= logged, name
        assert 3 <= len(lines) <= 100, name


def test_no_run_has_a_random_name(running, scheduled):
    flows = {flow["id"]: flow["name"] for flow in prefect(running, "flows", {})}

    def all_named() -> bool:  # Prefect schedules further runs at any time, which are named within seconds
        runs = prefect(running, "flow_runs", {"limit": 200, "sort": "EXPECTED_START_TIME_ASC"})
        return all(run["name"].startswith(f"{flows[run['flow_id']]}: ") for run in runs)

    wait_until(all_named, "a run keeps its random name", CLOCK, timeout_s=60, every_s=1)
    tasks = [task for task in prefect(running, "task_runs", {"limit": 200}) if not starts_a_flow(task)]
    assert {task["name"] for task in tasks if " " not in task["name"]} == set()


def test_status_and_doctor_find_no_error_after_the_scheduled_runs(running, scheduled):
    standing = json.loads(running.run("status", "--json").stdout)
    assert {service["name"]: service["last_error"] for service in standing["services"] if service["errors"]} == {}
    planned = {name for name, entry in DECLARED.items() if entry.get("schedules")}
    assert {run["deployment"] for run in standing["next_runs"]} == planned
    findings = {finding["what"]: finding for finding in json.loads(running.run("doctor", "--json").stdout)}
    assert findings["service logs"]["ok"]
    assert findings["schedules"]["ok"]
    assert {"late runs", "flow runs"}.isdisjoint(findings)


def test_the_example_request_is_answered_unchanged(running, second):
    symbol = "BTCUSDT"
    process = running.run("predict", "--example", "--symbol", symbol)
    assert process.returncode == 0, process.stderr
    body, curl = process.stdout.rstrip().rpartition("\n")[::2]
    words = shlex.split(curl)
    assert json.loads(words[-1]) == json.loads(body)
    assert json.loads(body)["symbol"] == symbol
    assert words[4] == f"{running.settings.bento_url}/predict"
    answered = subprocess.run(["/bin/sh", "-c", f"{curl} -w '%{{http_code}}'"], capture_output=True, text=True)
    assert answered.stdout.endswith("200"), answered.stdout
    assert login(running, "bento")[1] not in curl
    assert json.loads(running.run("predict", "--example", "--symbol", symbol, "--json").stdout)["curl"] == curl


def test_an_example_of_a_symbol_that_is_not_traded_is_refused_in_one_line(running, second):
    process = running.run("predict", "--example", "--symbol", "GBPUSD")
    assert process.returncode == 2
    assert "the latest run has no 'GBPUSD'; it has" in process.stderr


def test_a_run_stops_nothing_that_it_did_not_start(running, second):
    states = status(running)
    services = ("postgres", "prefect", "mlflow", "bento", "flows")
    assert [states[name]["ready"] for name in services] == [True] * len(services)
    assert [states[name]["pid"] for name in ("streamer", "worker")] == [None, None]


def test_a_finished_replay_is_shown_as_finished_and_its_account_holds_the_result_of_one_run(running, second):
    status_json = json.loads(running.run("status", "--json").stdout)
    assert status_json["run"]["state"] == "finished"
    for symbol in second.summary["symbols"]:
        state = status_json["symbols"][symbol]
        assert "the replay is finished" in state["reason"]
        assert state["last_decision"]["at"] == state["last_bar"] == TRADED[1].isoformat()
    account = json.loads(running.run("account", "show", "--json").stdout)["replay"]
    assert account["run"] == second.summary["run"]
    assert account["balance"] == status_json["account"]["balance"]
    open_fees = sum(open_entries(running, second), Decimal(0))
    assert Decimal(account["balance"]) == Decimal(10000) + Decimal(second.summary["trading"]["pnl"]) - open_fees


def open_entries(program: Any, run: Outcome) -> list[Decimal]:
    """Return the commission of every entry without an exit."""
    fills = traded(program, run.summary["run"]).fills
    left = {fill.order_id for fill in fills if fill.reason is not FillReason.ENTRY}
    return [fill.fee for fill in fills if fill.order_id not in left]


def test_the_ledger_refuses_to_forget(running, second):
    """Runs after the test of `status`, since each refusal is an error line in the log of PostgreSQL."""
    with database.open_pool(running.settings) as pool, pool.connection() as connection:
        for statement in ("UPDATE journal SET seq = 1", "DELETE FROM orders", "TRUNCATE prediction"):
            with pytest.raises(Exception, match="permission denied"):
                connection.execute(statement)


class Loaded(HTMLParser):
    """Collects the addresses that a page loads automatically, without its links."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.closed = False
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        if tag != "a":
            self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset", "data") and value]

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False
        self.closed |= tag == "html"

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.addresses += re.findall(r"(?:url\(|@import)\s*['\"]?([^'\")\s]+)", data)


def history_from() -> datetime:
    return TRADED[0] - timedelta(days=HISTORY_DAYS)


def history_of(path: Path) -> Any:
    bars = read_bars(path)[1]
    return bars[bars["open_time"] >= history_from()]


def opens(path: Path) -> list[datetime]:
    opened = read_bars(path)[1]["open_time"]
    return opened[opened >= TRADED[0]].dt.to_pydatetime().tolist()


def order_of(fill: Fill) -> str:
    return fill.order_id


def anonymous(fill: Fill, run_id: str) -> str:
    return repr(fill).replace(run_id, "RUN")


def same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def prefect(program: Any, what: str, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    address = f"{program.settings.prefect_url}/api/{what}/filter"
    answer = httpx.post(address, json=wanted, auth=login(program, "prefect"), timeout=30)
    return answer.raise_for_status().json()


def starts_a_flow(task: dict[str, Any]) -> bool:
    """Return True if a task run is the entry of a subflow, which Prefect numbers, and not a task of the platform."""
    return task["state"]["state_details"]["child_flow_run_id"] is not None


def login(program: Any, service: str) -> tuple[str, str]:
    return web_access.login(program.settings, service)


def get(program: Any, address: str, **query: str) -> dict[str, Any]:
    answer = httpx.get(address, params=query, auth=login(program, "mlflow"), timeout=30)
    return answer.raise_for_status().json()


def status(program: Any) -> dict[str, dict[str, Any]]:
    return {service["name"]: service for service in json.loads(program.run("status", "--json").stdout)["services"]}
