"""A user's strategy in its process: what it remembers, and that a hostile one costs a call and no more."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from mikrobot.decision.outlook import Outlook
from mikrobot.decision.signals import NoSignal, Signal
from mikrobot.decision.strategies.strategy import Mandate
from mikrobot.domain.errors import StrategyError
from mikrobot.domain.trading import Side
from mikrobot.live import strategies
from mikrobot.live.strategies import RunningStrategy, Strategies
from mikrobot.settings import Settings

CLOSE = datetime(2025, 3, 14, 10, tzinfo=UTC)
FILE = '''
import os, random, socket, subprocess, time
from datetime import datetime
from mikrobot.decision.signals import NoSignal, Signal
from mikrobot.decision.strategies.strategy import Mandate, Parameter, Strategy
from mikrobot.domain.trading import Side

class Counts(Strategy):
    """Buy every third close."""
    columns = ("m1_rsi_14",)
    mandate = Mandate(risk_pct=0.7, max_open_trades=1, sessions=("London", "New York"))
    parameters = {"every": Parameter(3, 1, 10, "closes between two trades")}
    def signal(self, outlook, memory):
        memory["seen"] = memory.get("seen", 0) + 1
        print("what is printed is no answer")
        if memory["seen"] % self.every:
            return NoSignal(f"close {memory['seen']}, RSI {outlook.features['m1_rsi_14']:g}", "count")
        return Signal(Side.BUY, outlook.close - 1, outlook.close + 2, minutes=10)

class Clock(Strategy):
    def signal(self, outlook, memory):
        return NoSignal(str(time.time()))

class Now(Strategy):
    def signal(self, outlook, memory):
        return NoSignal(str(datetime.now()))

class Reads(Strategy):
    def signal(self, outlook, memory):
        return NoSignal(open(__file__).read())

class Connects(Strategy):
    def signal(self, outlook, memory):
        return NoSignal(str(socket.create_connection(("127.0.0.1", 1))))

class Starts(Strategy):
    def signal(self, outlook, memory):
        return NoSignal(str(subprocess.run(["true"])))

class Imports(Strategy):
    def signal(self, outlook, memory):
        import smtplib
        return NoSignal("")

class Raises(Strategy):
    def signal(self, outlook, memory):
        return NoSignal(str(1 / 0))

class Nothing(Strategy):
    def signal(self, outlook, memory):
        return None

class Text(Strategy):
    def signal(self, outlook, memory):
        return Signal(Side.BUY, "low")

class Unstorable(Strategy):
    def signal(self, outlook, memory):
        memory["at"] = {1, 2}
        return NoSignal("")

class Missing(Strategy):
    def signal(self, outlook, memory):
        memory["rsi"] = float("nan")
        return NoSignal("")

class Loops(Strategy):
    def signal(self, outlook, memory):
        while True:
            pass

class Ends(Strategy):
    def signal(self, outlook, memory):
        os._exit(3)

class Exits(Strategy):
    def signal(self, outlook, memory):
        raise SystemExit(3)

class NoMethod(Strategy):
    pass

class NoColumn(Strategy):
    columns = ("m1_magic",)
    def signal(self, outlook, memory):
        return NoSignal("")
'''


RAISED = FILE[: FILE.index("1 / 0")].count("\n") + 1


def outlook(number: int = 0) -> Outlook:
    at = CLOSE + timedelta(minutes=number)
    row = (100.0, 0.1, 0.5, 101.0, 99.0, 0.4, 0.3, "bos 1", 99.0, 101.0, 98.0)
    return Outlook("BTCUSDT", at, *row, {"m1_rsi_14": 55.0, "m1_atr_14": 0.5})


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rules") / "my_rules.py"
    path.write_text(FILE)
    return path


Start = Callable[..., RunningStrategy]


@pytest.fixture
def start(file: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def started(name: str, **parameters: float) -> RunningStrategy:
            settings = Settings(strategy_parameters={f"{name}.{key}": value for key, value in parameters.items()})
            strategy = strategies.start(f"{file}:{name}", settings)
            stack.enter_context(Strategies([strategy]))
            return strategy

        yield started


def test_it_answers_with_its_columns_and_what_it_remembers(start: Start) -> None:
    strategy = start("Counts")
    first, second, third = (strategy.answer(outlook(number)) for number in range(3))
    assert first == NoSignal("close 1, RSI 55", "count")
    assert second == NoSignal("close 2, RSI 55", "count")
    assert third == Signal(Side.BUY, 99.0, 102.0, 10)
    assert strategy.described.mandate == Mandate(Decimal("0.7"), None, 1, ("London", "New York"))
    assert list(Strategies([strategy]).changed()) == [("Counts", "BTCUSDT", {"seen": 3})]
    assert list(Strategies([strategy]).changed()) == []


def test_it_goes_on_in_another_process_with_what_was_stored(start: Start) -> None:
    strategy = start("Counts")
    Strategies([strategy]).recall({("Counts", "BTCUSDT"): {"seen": 2}, ("Other", "BTCUSDT"): {"seen": 7}})
    assert isinstance(strategy.answer(outlook()), Signal)


def test_a_parameter_is_used_and_refused_beyond_its_bounds(start: Start) -> None:
    assert isinstance(start("Counts", every=1).answer(outlook()), Signal)
    with pytest.raises(StrategyError, match="Counts: every is 11, expected 1 to 10"):
        start("Counts", every=11)
    with pytest.raises(StrategyError, match="Counts has no parameter evry; it has every"):
        start("Counts", evry=2)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Clock", "Forbidden: it reads the clock; use outlook.close_time"),
        ("Now", "Forbidden: it reads the clock; use outlook.close_time"),
        ("Reads", "Forbidden: it does open; a strategy reads nothing but its inputs"),
        ("Connects", "a strategy reads nothing but its inputs"),
        ("Starts", "a strategy reads nothing but its inputs"),
        ("Imports", "it does import; a strategy reads nothing but its inputs"),
        ("Raises", f"line {RAISED}: ZeroDivisionError: division by zero"),
        ("Exits", "SystemExit: 3"),
        ("Nothing", "signal() returned NoneType, expected Signal or NoSignal"),
        ("Text", "ValueError: could not convert string to float: 'low'"),
        ("Missing", "ValueError: Out of range float values are not JSON compliant"),
        ("Unstorable", "TypeError: Object of type set is not JSON serializable"),
    ],
)
def test_what_a_strategy_may_not_do_is_no_signal_with_the_reason(start: Start, name: str, reason: str) -> None:
    answer = start(name).answer(outlook())
    assert isinstance(answer, NoSignal)
    assert answer.name == "strategy"
    assert reason in answer.text


def test_an_endless_loop_costs_the_call_and_after_some_is_not_called_again(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strategies, "CALL_S", 0.2)
    strategy = start("Loops")
    answers = [strategy.answer(outlook(number)) for number in range(strategies.MOST_SILENCES + 1)]
    assert answers[:-1] == [NoSignal("Loops did not answer within 0.2 s: a close", "strategy")] * 5
    assert answers[-1] == NoSignal("it did not answer 5 times in a row, and is not called again", "strategy")


def test_a_process_that_ends_is_started_again(start: Start) -> None:
    strategy = start("Ends")
    for number in range(2):
        assert strategy.answer(outlook(number)) == NoSignal(
            "the process of Ends ended with code 3: a close", "strategy"
        )


def test_a_file_that_changes_while_it_trades_is_not_called_by_the_old_name(tmp_path: Path) -> None:
    path = tmp_path / "rules.py"
    path.write_text(FILE)
    strategy = strategies.start(f"{path}:Ends", Settings())
    with Strategies([strategy]):
        strategy.answer(outlook())
        path.write_text(f"{FILE}\n")
        answer = strategy.answer(outlook(1))
    assert isinstance(answer, NoSignal)
    assert answer.text.startswith("its file has changed from Ends@")


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("{file}:NoMethod", "NoMethod lacks the method signal"),
        ("{file}:NoColumn", "NoColumn reads the column 'm1_magic', which docs/features.md does not list"),
        ("{file}:Absent", "has no Absent; its strategies are Counts, Clock"),
        ("{file}:random", "random is not a class derived from Strategy"),
        ("{folder}/none.py:Rules", "none.py does not exist; give the path of the file of the strategy"),
        ("{folder}/wrong.py:Rules", "wrong.py, line 2: invalid syntax"),
        ("{folder}/raises.py:Rules", "raises.py, line 1: ZeroDivisionError: division by zero"),
        ("no_module_of_that_name:Rules", "No module named 'no_module_of_that_name'"),
        ("simple_brake", "no strategy 'simple_brake': give m5_bos, m1_retest, simple_break, or a file and its class"),
    ],
)
def test_what_cannot_be_loaded_is_named_in_one_line(file: Path, reference: str, reason: str) -> None:
    folder = file.parent
    (folder / "wrong.py").write_text("class Rules:\n    def signal(self outlook): pass\n")
    (folder / "raises.py").write_text("1 / 0\n")
    with pytest.raises(StrategyError) as raised:
        strategies.start(reference.format(file=file, folder=folder), Settings())
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)


def test_two_strategies_of_one_name_are_refused(file: Path) -> None:
    with pytest.raises(StrategyError, match="two strategies are named simple_break"):
        strategies.opened(Settings(strategies=("simple_break", "simple_break")))
