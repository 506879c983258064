"""The client against a small HTTP server of the standard library with scripted responses."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest
import stamina

from mikrobot.domain.errors import FeatureMismatch, ScopeError, ServingError
from mikrobot.runtime import ManualClock
from mikrobot.serving.client import ATTEMPTS, PredictionClient

ANSWER = {
    "model": "bos",
    "version": "3",
    "fitted_with": "3",
    "source": "replay",
    "symbol": "EURUSD",
    "trained_on": ["EURUSD"],
    "feature_hash": "0123456789ab",
    "trained_until": "2024-05-06T00:00:00Z",
    "probability_up": 0.61,
    "interval_up": [0.58, 0.64],
    "interval_down": None,
    "set_up": "both",
    "set_down": None,
    "predicted_up": "abstain",
    "predicted_down": None,
    "probability_down": None,
    "swing": 5,
}
SCOPE = {"symbol": "EURUSD", "source": "replay"}
CONTRACT = {"columns": ["m1_rsi_14"], "version": "3"}


@dataclass
class Script:
    """Scripted responses, the last one repeated; 0 closes the connection, -1 hangs before it closes."""

    url: str = ""
    answers: list[tuple[int, Any]] = field(default_factory=lambda: [(200, ANSWER)])
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    connections: int = 0
    hold: Event = field(default_factory=Event)

    def next(self) -> tuple[int, Any]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def setup(self) -> None:
            script.connections += 1
            super().setup()

        def do_GET(self) -> None:
            self.answer(None)

        def do_POST(self) -> None:
            self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def answer(self, body: Any) -> None:
            script.asked.append((self.command, self.path, body))
            status, answer = script.next()
            if status == 0:
                self.close_connection = True
                return
            if status == -1:
                script.hold.wait(10)
                self.close_connection = True
                return
            content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if isinstance(answer, str) else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield script
    script.hold.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2024, 5, 6, tzinfo=UTC))


@pytest.fixture
def client(script: Script, clock: ManualClock) -> Iterator[PredictionClient]:
    """A client that retries without waiting; stamina tests the waiting."""
    stamina.set_testing(True, attempts=ATTEMPTS)
    with PredictionClient(script.url, "replay", clock) as client:
        yield client
    stamina.set_testing(False)


def test_an_answer_comes_back_as_it_was_given(client: PredictionClient, script: Script) -> None:
    answer = client.predict("EURUSD", {"m1_rsi_14": 55.2})
    assert (answer.version, answer.probability_up, answer.probability_down) == ("3", 0.61, None)
    assert (answer.interval_up, answer.interval_down, answer.predicted_up) == ((0.58, 0.64), None, "abstain")
    assert answer.trained_until == datetime(2024, 5, 6, tzinfo=UTC)
    assert script.asked == [("POST", "/predict", SCOPE | {"features": {"m1_rsi_14": 55.2}})]


def test_missing_values_travel_as_null(client: PredictionClient, script: Script) -> None:
    client.predict("EURUSD", {"m1_rsi_14": math.nan, "m1_spread_atr": None})
    assert script.asked[0][2] == {
        "symbol": "EURUSD",
        "source": "replay",
        "features": {"m1_rsi_14": None, "m1_spread_atr": None},
    }


def test_an_infinite_value_never_leaves(client: PredictionClient, script: Script) -> None:
    with pytest.raises(FeatureMismatch, match="m1_rsi_14 is infinite"):
        client.predict("EURUSD", {"m1_rsi_14": math.inf})
    assert script.asked == []


def test_a_challenger_that_does_not_answer_is_left_alone_for_a_minute_and_the_champion_is_asked_on(
    client: PredictionClient, script: Script, clock: ManualClock
) -> None:
    script.answers = [(200, CONTRACT), (503, {"error": "gone"}), (200, ANSWER)]
    assert client.shadow("EURUSD", {"m1_rsi_14": 55.2}) is None
    assert client.shadow("EURUSD", {"m1_rsi_14": 55.2}) is None
    assert client.predict("EURUSD", {"m1_rsi_14": 55.2}).version == "3"
    assert [path for _, path, _ in script.asked] == ["/challenger?symbol=EURUSD&source=replay", "/shadow", "/predict"]
    clock.sleep(61.0)
    script.answers = [(200, CONTRACT), (200, ANSWER)]
    shadow = client.shadow("EURUSD", {"m1_rsi_14": 55.2, "m1_atr_14": 1.0})
    assert shadow is not None
    assert (shadow[0].version, shadow[1]) == ("3", {"m1_rsi_14": 55.2})


def test_a_batch_keeps_its_order(client: PredictionClient, script: Script) -> None:
    many = {
        "probability_up": [0.1, None],
        "probability_down": [None, 0.2],
        "interval_up": [[0.05, 0.15], None],
        "interval_down": [None, [0.1, 0.3]],
        "set_up": ["holds", None],
        "set_down": [None, "none"],
        "predicted_up": ["hold", None],
        "predicted_down": [None, "abstain"],
    }
    script.answers = [(200, ANSWER | many)]
    answers = client.predict_many("EURUSD", ("m1_rsi_14",), [[1.0], [math.nan]])
    assert (answers.probability_up, answers.probability_down) == ((0.1, None), (None, 0.2))
    assert (answers.interval_up, answers.interval_down) == (((0.05, 0.15), None), (None, (0.1, 0.3)))
    assert (answers.set_up, answers.set_down) == (("holds", None), (None, "none"))
    assert (answers.predicted_up, answers.predicted_down) == (("hold", None), (None, "abstain"))
    batch = {"columns": ["m1_rsi_14"], "rows": [[1.0], [None]]}
    assert script.asked[0][2] == SCOPE | batch


def test_one_connection_serves_many_requests(client: PredictionClient, script: Script) -> None:
    for _ in range(5):
        client.predict("EURUSD", {"m1_rsi_14": 1.0})
    assert script.connections == 1


@pytest.mark.parametrize("failure", [(0, None), (503, {"error": "no champion yet"})], ids=["hung up", "not ready"])
def test_a_passing_failure_is_tried_again(client: PredictionClient, script: Script, failure: tuple[int, Any]) -> None:
    script.answers = [failure, failure, (200, ANSWER)]
    assert client.predict("EURUSD", {"m1_rsi_14": 1.0}).version == "3"
    assert len(script.asked) == 3


def test_a_service_that_stays_unready_is_one_clear_error(client: PredictionClient, script: Script) -> None:
    script.answers = [(503, {"error": "no version of model bos is champion yet"})]
    with pytest.raises(ServingError, match="not ready: no version of model bos is champion yet"):
        client.predict("EURUSD", {"m1_rsi_14": 1.0})
    assert len(script.asked) == ATTEMPTS


def test_a_service_that_is_down_is_one_clear_error(script: Script, clock: ManualClock) -> None:
    stamina.set_testing(True, attempts=2)
    with PredictionClient("http://127.0.0.1:9", "replay", clock) as client:
        with pytest.raises(ServingError, match=r"127\.0\.0\.1:9 does not answer .*; start it: `mikrobot up`"):
            client.predict("EURUSD", {"m1_rsi_14": 1.0})
        assert not client.ready()
    stamina.set_testing(False)


def test_a_prediction_without_an_answer_is_asked_once_more_on_another_connection(
    script: Script, clock: ManualClock
) -> None:
    script.answers = [(-1, None), (200, ANSWER)]
    with PredictionClient(script.url, "replay", clock, hedge_s=0.1) as client:
        assert client.predict("EURUSD", {"m1_rsi_14": 1.0}).version == "3"
        assert client.predict("EURUSD", {"m1_rsi_14": 1.0}).version == "3"
    assert len(script.asked) == 3
    assert script.connections == 2


def test_a_service_that_hangs_is_asked_once_more_and_not_again(script: Script, clock: ManualClock) -> None:
    script.answers = [(-1, None)]
    with (
        PredictionClient(script.url, "replay", clock, timeout_s=0.1) as client,
        pytest.raises(ServingError, match="took too long over /predict"),
    ):
        client.predict("EURUSD", {"m1_rsi_14": 1.0})
    assert [path for _, path, _ in script.asked] == ["/predict"] * 2


def test_other_requests_are_not_hedged(script: Script, clock: ManualClock) -> None:
    script.answers = [(-1, None)]
    with (
        PredictionClient(script.url, "replay", clock, timeout_s=0.1) as client,
        pytest.raises(ServingError, match="took too long over /predict_batch"),
    ):
        client.predict_many("EURUSD", ("m1_rsi_14",), [[1.0]])
    assert len(script.asked) == 1


def test_a_refusal_of_the_features_is_a_mismatch_and_not_repeated(client: PredictionClient, script: Script) -> None:
    script.answers = [(422, {"error": "missing m1_return_1"})]
    with pytest.raises(FeatureMismatch, match="missing m1_return_1"):
        client.predict("EURUSD", {"m1_rsi_14": 1.0})
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    ("status", "body", "complaint"),
    [
        (400, {"error": "rows: too many"}, "rows: too many"),
        (404, "<h1>no such page</h1>", "no such page"),
        (400, [], ""),
    ],
)
def test_other_refusals_carry_the_words_of_the_service(
    client: PredictionClient, script: Script, status: int, body: Any, complaint: str
) -> None:
    script.answers = [(status, body)]
    with pytest.raises(ServingError, match=f"refused /predict: .*{complaint}"):
        client.predict("EURUSD", {"m1_rsi_14": 1.0})


def test_a_symbol_that_no_model_learned_from_is_an_error_of_its_own(client: PredictionClient, script: Script) -> None:
    script.answers = [(404, {"error": "no model learned from replay GBPUSD"})]
    with pytest.raises(ScopeError, match="no model learned from replay GBPUSD"):
        client.predict("GBPUSD", {"m1_rsi_14": 1.0})
    assert len(script.asked) == 1


def test_a_failing_service_is_left_alone_until_it_has_rested(
    client: PredictionClient, script: Script, clock: ManualClock
) -> None:
    script.answers = [(500, {"error": "boom"})]
    for _ in range(5):
        with pytest.raises(ServingError, match="failed over /predict, status 500"):
            client.predict("EURUSD", {"m1_rsi_14": 1.0})
    with pytest.raises(ServingError, match="keeps failing"):
        client.predict("EURUSD", {"m1_rsi_14": 1.0})
    assert len(script.asked) == 5
    clock.sleep(timedelta(seconds=31).total_seconds())
    script.answers = [(200, ANSWER)]
    assert client.predict("EURUSD", {"m1_rsi_14": 1.0}).version == "3"


def test_refused_features_do_not_open_the_breaker(client: PredictionClient, script: Script) -> None:
    script.answers = [(422, {"error": "missing m1_return_1"})] * 8 + [(200, ANSWER)]
    for _ in range(8):
        with pytest.raises(FeatureMismatch):
            client.predict("EURUSD", {"m1_rsi_14": 1.0})
    assert client.predict("EURUSD", {"m1_rsi_14": 1.0}).version == "3"


def test_columns_are_asked_once_until_refreshed(client: PredictionClient, script: Script) -> None:
    script.answers = [(200, CONTRACT), (200, CONTRACT | {"columns": ["m1_atr_14"]})]
    assert (client.columns("EURUSD"), client.columns("EURUSD")) == (("m1_rsi_14",), ("m1_rsi_14",))
    assert client.columns("EURUSD", refresh=True) == ("m1_atr_14",)
    assert [path for _, path, _ in script.asked] == ["/model?symbol=EURUSD&source=replay"] * 2


@pytest.mark.parametrize(("status", "ready"), [(200, True), (503, False), (500, False)])
def test_ready_asks_once_and_never_raises(client: PredictionClient, script: Script, status: int, ready: bool) -> None:
    script.answers = [(status, "\n")]
    assert client.ready() is ready
    assert script.asked == [("GET", "/readyz", None)]
