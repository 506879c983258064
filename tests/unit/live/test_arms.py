"""Arms of a run: their command line form, their records, and their shares of the market."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from mikrobot import settings as configuration
from mikrobot.domain.errors import UsageError
from mikrobot.live import arms
from mikrobot.settings import Settings
from mikrobot.store.runs import Run

START = datetime(2024, 3, 11, tzinfo=UTC)


def asked(*given: str, split: bool = False) -> Settings:
    return configuration.load(arms=given, split=split, profile="session1")


def begun(settings: Settings) -> Run:
    recorded = settings.model_dump(mode="json", exclude={"database_url"})
    return Run("r1", "replay", False, ("EURUSD",), START, START, START, recorded)


def test_an_arm_differs_in_what_was_asked_and_in_nothing_else() -> None:
    planned = arms.planned(asked("careful:profile=ftmo, balance=5000", "eager:entry_probability=0.4"))
    assert (planned["careful"].profile, planned["careful"].balance) == ("ftmo", Decimal(5000))
    assert (planned["eager"].profile, planned["eager"].entry_probability) == ("session1", 0.4)
    same = {"profile", "balance"}
    assert planned["careful"].model_dump(exclude=same) == asked(*planned["careful"].arms).model_dump(exclude=same)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("careful",), "an arm is NAME:KEY=VALUE"),
        (("careful:profile",), "an arm is NAME:KEY=VALUE"),
        ((":profile=ftmo",), "an arm is NAME:KEY=VALUE"),
        (("main:profile=ftmo",), "give each arm its own name"),
        (("a b:profile=ftmo",), "give each arm its own name"),
        (("a:profile=ftmo", "a:profile=lightning"), "give each arm its own name"),
        (("a:hours=3",), "arm a: hours cannot differ; choose profile, strategies, model, entry_probability, balance"),
        (("a:profile=bold",), "setting profile: Input should be 'session1', 'lightning' or 'ftmo'"),
        (("a:entry_probability=2",), "setting entry_probability"),
    ],
)
def test_an_arm_that_cannot_be_is_refused_with_what_can(given: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        arms.planned(asked(*given))


def test_an_arm_is_recorded_as_a_run_that_follows_the_other() -> None:
    settings = asked("careful:profile=ftmo")
    (run,) = arms.following(begun(settings), settings)
    assert (run.id, arms.name_of(run), run.settings["follows"]) == ("r1-careful", "careful", "r1")
    assert (run.settings["profile"], run.settings["entry_probability"]) == ("ftmo", settings.entry_probability)
    assert arms.name_of(begun(settings)) == "main"


def test_a_market_that_is_not_split_belongs_to_all() -> None:
    assert arms.share_of(begun(asked("careful:profile=ftmo"))) is None


def test_every_day_of_a_symbol_belongs_to_one_arm_and_each_gets_its_part() -> None:
    settings = asked("careful:profile=ftmo", "eager:entry_probability=0.4", split=True)
    main = begun(settings)
    shares = [arms.share_of(run) for run in (main, *arms.following(main, settings))]
    owned: Counter[str] = Counter()
    for day in range(600):
        at = START + timedelta(days=day, hours=9)
        owners = [share.own for share in shares if share is not None and not share.objection("EURUSD", at)]
        assert len(owners) == 1
        assert shares[0] is not None
        assert shares[0].owner("EURUSD", at) == shares[0].owner("EURUSD", at + timedelta(hours=10)) == owners[0]
        owned[owners[0]] += 1
    assert set(owned) == {"main", "careful", "eager"}
    assert min(owned.values()) > 150
