"""Trading states of operators on a real database: what a command writes, refuses and lists."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from mikrobot.cli import status_tables
from mikrobot.cli.console import unbounded
from mikrobot.cli.main import main
from mikrobot.domain.errors import StatesChanged, UsageError
from mikrobot.domain.trading import Side
from mikrobot.domain.trading_states import Permission, TradingState
from mikrobot.live.halts import BY_QUALITY
from mikrobot.live.operator_states import of_run
from mikrobot.runtime import ManualClock
from mikrobot.settings import Settings
from mikrobot.store.ledger import Ledger
from mikrobot.store.postgres.database import Pool
from mikrobot.store.runs import FOLLOWS, Run, Runs
from mikrobot.store.trading_states import TradingStates
from mikrobot.workflows import status, trading_control
from mikrobot.workflows.trading_control import Command

TEN = datetime(2024, 3, 12, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HALT = Command(Permission.HALTED, "ana", "news")
REDUCE, RESUME = replace(HALT, permission=Permission.REDUCING), replace(HALT, permission=Permission.ACTIVE)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(TEN)


@pytest.fixture
def send(database: Settings, pool: Pool, clock: ManualClock) -> Callable[[Command], TradingState]:
    """Return a function that sends a command, a minute after the one before."""

    def command(wanted: Command) -> TradingState:
        clock.sleep(60)
        return trading_control.command(database, pool, clock, wanted)

    return command


@pytest.fixture
def run(database: Settings, pool: Pool) -> Run:
    times = {name: (TEN - timedelta(hours=1)).isoformat() for name in ("history_from", "trade_from")}
    segments = [{"symbols": ["EURUSD"], **times, "trade_until": TEN.isoformat()}]
    settings = {**database.model_dump(mode="json"), "segments": segments}
    recorded = Run("r1", "simulated", True, ("EURUSD",), TEN - timedelta(hours=1), TEN, TEN, settings)
    Runs(pool).begin(recorded)
    return recorded


def listed(database: Settings, pool: Pool, clock: ManualClock) -> list[tuple[str, str]]:
    shown = trading_control.overview(database, pool, clock)
    return [(state.permission.value, state.subject) for state in shown.in_force]


def test_a_command_replaces_the_state_of_the_same_symbol_and_side_only(send, database, pool, clock):
    send(HALT)
    send(replace(HALT, symbol="EURUSD"))
    send(replace(REDUCE, symbol="EURUSD", side=Side.BUY, user="bob"))
    send(replace(REDUCE, symbol="EURUSD"))
    everywhere, buys, symbol = ("HALTED", "every symbol"), ("REDUCING", "buys of EURUSD"), ("REDUCING", "EURUSD")
    assert listed(database, pool, clock) == [everywhere, buys, symbol]
    send(RESUME)
    assert listed(database, pool, clock) == [buys, symbol]
    newest = trading_control.overview(database, pool, clock).recent
    assert [(state.permission.value, state.by, state.until) for state in newest][:3] == [
        ("ACTIVE", "operator ana", None),
        ("REDUCING", "operator ana", None),
        ("REDUCING", "operator bob", None),
    ]
    assert newest[-1].until == TEN + 5 * MINUTE


def test_a_state_with_an_end_is_over_then_and_cannot_be_resumed(send, database, pool, clock):
    send(replace(HALT, until=TEN + 3 * MINUTE))
    assert listed(database, pool, clock) == [("HALTED", "every symbol")]
    clock.sleep(120)
    assert listed(database, pool, clock) == []
    with pytest.raises(UsageError, match="not halted"):
        send(RESUME)


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        (RESUME, "trading of every symbol is not halted or reducing by an operator; in force: HALTED for EURUSD"),
        (replace(RESUME, symbol="BTCUSDT"), "trading of BTCUSDT is not halted"),
        (replace(HALT, until=TEN), "--until 2024-03-12 10:00 UTC is past, now is 2024-03-12 10:02 UTC; give a later"),
        (replace(HALT, side=Side.BUY), "--side buy needs a --symbol"),
    ],
    ids=["another scope", "another symbol", "past", "a side alone"],
)
def test_a_wrong_command_is_refused_in_one_line_and_writes_nothing(send, database, pool, clock, wanted, complaint):
    send(replace(HALT, symbol="EURUSD"))
    before = TradingStates(pool).recent(None, 9)
    with pytest.raises(UsageError) as refused:
        send(wanted)
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 2
    assert TradingStates(pool).recent(None, 9) == before


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("halt", "--symbol", "NOTHING"), "NOTHING"),
        (("halt", "--symbol", "EURUSD", "--side", "long"), "'long' is not one of 'buy', 'sell'"),
        (("reduce", "--until", "soon"), "soon"),
        (("resume", "--flatten"), "--flatten"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_before_anything_starts(arguments, complaint, tmp_path):
    result = CliRunner().invoke(main, ["trading", *arguments], env={"MIKROBOT_HOME": str(tmp_path)})
    assert result.exit_code == 2
    assert complaint in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_minute_is_committed_only_under_the_states_that_it_was_decided_under(send, pool, run):
    states, ledger = TradingStates(pool), Ledger(pool)
    version, _ = states.of_operators(TEN)
    assert ledger.commit("r1", TEN - 2 * MINUTE, decided_under=version)
    send(HALT)
    with pytest.raises(StatesChanged):
        ledger.commit("r1", TEN - MINUTE, decided_under=version)
    assert Runs(pool).reached("r1", "worker") == TEN - 2 * MINUTE
    newer, (halt,) = states.of_operators(TEN)
    assert newer > version
    assert halt.reason == "news"
    assert ledger.commit("r1", TEN - MINUTE, decided_under=newer)


def test_every_change_of_the_states_of_operators_has_a_later_version(send, pool):
    versions = []
    for wanted in (HALT, RESUME, REDUCE, replace(HALT, symbol="EURUSD"), RESUME):
        send(wanted)
        versions.append(TradingStates(pool).of_operators(TEN)[0])
    assert versions == sorted(set(versions))


def test_status_and_the_report_show_the_states_in_force(send, database, pool, clock, run):
    cooldown = TradingState(
        Permission.REDUCING, "cooldown", "a stop-loss exit with -1.00 USD", TEN - 3 * MINUTE, TEN + MINUTE, "EURUSD"
    )
    Ledger(pool).commit("r1", TEN - 2 * MINUTE, spans=[cooldown])
    send(HALT)
    shown = status.look(database, pool, (), clock)
    assert [state.by for state in shown.states] == ["operator ana", "cooldown"]
    (symbol,) = shown.symbols
    assert not symbol.halts
    assert [entry["state"] for entry in shown.to_json()["trading_states"]] == ["HALTED", "REDUCING"]
    assert {"scope": "symbol", "by": "cooldown"}.items() <= shown.to_json()["trading_states"][1].items()
    page = "".join(map(unbounded, status_tables.tables(shown)))
    assert "HALTED for every symbol by operator ana since 2024-03-12 10:01 UTC: news" in page
    Ledger(pool).commit("r1", TEN + MINUTE)
    assert [state.by for state in status.look(database, pool, (), clock).states] == ["operator ana"]


def test_the_table_of_trading_status_names_who_and_why(send, database, pool, clock):
    def page() -> str:
        shown: Any = trading_control.overview(database, pool, clock)
        return "".join(map(unbounded, status_tables.trading_tables(shown.in_force, shown.recent)))

    assert "no trading state is in force: trading is ACTIVE" in page()
    send(replace(HALT, reason="news [high]"))
    assert "HALTED for every symbol by operator ana since 2024-03-12 10:01 UTC: news [high]" in page()


def test_an_arm_has_the_halts_for_data_of_its_run_and_the_other_states_of_its_own(database, pool, run):
    arm = replace(run, id="r1-a", settings={**run.settings, FOLLOWS: "r1"})
    Runs(pool).begin(arm)
    halt = TradingState(Permission.HALTED, BY_QUALITY, "a gap", TEN - 4 * MINUTE, symbol="EURUSD")
    of_the_run = replace(halt, by="operator ana", symbol=None, since=TEN - 3 * MINUTE)
    own = replace(of_the_run, since=TEN - 2 * MINUTE)
    cooldown = TradingState(Permission.REDUCING, "cooldown", "a stop", TEN - MINUTE, TEN, "EURUSD")
    Ledger(pool).commit("r1", TEN, states=[halt, of_the_run])
    Ledger(pool).commit("r1-a", TEN, states=[own], spans=[cooldown])
    assert of_run(TradingStates(pool), run) == [halt, of_the_run]
    assert of_run(TradingStates(pool), arm) == [halt, own, cooldown]
