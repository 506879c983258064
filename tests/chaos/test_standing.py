"""The stack of `mikrobot up`, killed at random instants: it trades on, `up` succeeds, and `down` leaves nothing."""

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from mikrobot.live import pid_records
from mikrobot.stack import wanted
from tests.chaos.recovery import await_working, measured
from tests.killing import head_of, kill_9

pytestmark = pytest.mark.soak

TRIALS = 20
RUN = ("--once", "--source", "simulated", "--symbols", "BTCUSDT", "--hours", 1, "--history-days", 10)
HEADS = ("supervisor", "bento", "mlflow", "prefect", "flows", "worker", "streamer")


@pytest.fixture(scope="module")
def standing(install, tmp_path_factory) -> Iterator[Any]:
    """A stack that trades BTCUSDT of the simulated market, which is never closed, in the present."""
    with install(tmp_path_factory.mktemp("standing")) as installation:
        for arguments in (("run", *RUN), ("up",)):
            process = installation.run(*arguments)
            assert process.returncode == 0, process.stderr
        yield installation


def test_after_each_of_twenty_kills_everything_works_again(standing: Any) -> None:
    for recovery in measured(standing.settings, TRIALS, Random(1)):
        print(recovery)
    assert pid_records.kept_down(standing.home) == {}


def test_up_succeeds_at_once_and_down_leaves_nothing_whatever_was_killed(standing: Any) -> None:
    """Only heads are killed, the supervisor among them, so that their children hold the ports."""
    rng = Random(2)
    for trial in range(TRIALS):
        names = ("supervisor", *rng.sample(HEADS[1:], rng.randint(1, 6)))
        for name in names:
            head = head_of(name, standing.home)
            assert head is not None, f"{name} does not run in trial {trial}"
            kill_9(head, children=False)
        if trial % 2:
            process = standing.run("down")
            assert (process.returncode, standing.left()) == (0, []), f"after a kill of {names}: {process.stderr}"
        process = standing.run("up")
        assert process.returncode == 0, f"after a kill of {names}: {process.stderr}"
        await_working(standing.settings, wanted.read(standing.home).names, str(names))
