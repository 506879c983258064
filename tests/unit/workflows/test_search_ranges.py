"""The ranges of a parameter search: declared, narrowed, refused."""

import pytest
from optuna.trial import FixedTrial

from mikrobot.decision.strategies.catalog import ours
from mikrobot.decision.strategies.strategy import Mandate, Parameter
from mikrobot.domain.errors import StrategyError, UsageError
from mikrobot.live.strategies import Described, described
from mikrobot.settings import Settings
from mikrobot.workflows.search_ranges import Narrowed, SearchRange, ranges

PARAMETERS = {
    "share": Parameter(0.5, 0.0, 1.0, ""),
    "distance": Parameter(2.0, 0.0, 1e6, ""),
    "stop": Parameter(1.5, 0.1, 20.0, ""),
    "minutes": Parameter(240, 1, 1440, ""),
    "shift": Parameter(0.0, -5.0, 5.0, ""),
}
STRATEGY = Described("own@12345678", (), PARAMETERS, "", Mandate())


def space(*narrowed: Narrowed, **given: float) -> dict[str, SearchRange]:
    settings = Settings(strategy_parameters={f"own.{name}": value for name, value in given.items()})
    return {one.name: one for one in ranges(STRATEGY, settings, narrowed)}


def test_a_range_is_that_of_the_declaration() -> None:
    assert space()["share"] == SearchRange("share", 0.0, 1.0, 0.5, integer=False)
    assert (space()["shift"].low, space()["shift"].high, space()["shift"].log) == (-5, 5, False)


def test_a_range_from_zero_to_far_beyond_the_default_is_searched_near_it() -> None:
    assert space()["distance"] == SearchRange("distance", 0.0, 20.0, 2.0, integer=False)


def test_positive_bounds_over_two_decades_have_a_log_scale() -> None:
    assert {name for name, one in space().items() if one.log} == {"stop", "minutes"}
    assert not space(Narrowed("own.stop", 0.1, 10.0))["stop"].log


def test_whole_numbers_stay_whole() -> None:
    minutes = space(Narrowed("own.minutes", 60.0, 120.0), minutes=90.0)["minutes"]
    assert (minutes.integer, minutes.start) == (True, 90)
    assert all(isinstance(value, int) for value in (minutes.low, minutes.high, minutes.start))
    assert minutes.suggest(FixedTrial({"minutes": 77})) == 77


def test_the_first_trial_has_the_default_of_the_settings_or_the_nearest_value() -> None:
    assert space(share=0.7)["share"].start == 0.7
    assert space(Narrowed("own.share", 0.1, 0.3))["share"].start == 0.3


def test_a_suggestion_is_rounded_within_the_range() -> None:
    narrowed = space(Narrowed("own.share", 0.12344, 0.9))["share"]
    assert narrowed.suggest(FixedTrial({"share": 0.654321})) == 0.6543
    assert narrowed.suggest(FixedTrial({"share": 0.12344})) == 0.12344


def test_equal_bounds_fix_a_parameter() -> None:
    assert space(Narrowed("own.stop", 2.0, 2.0))["stop"].suggest(FixedTrial({})) == 2.0


@pytest.mark.parametrize(
    ("narrowed", "error", "message"),
    [
        (Narrowed("own.speed", 1, 2), StrategyError, "own has no parameter own.speed; it has own.distance, own.min"),
        (Narrowed("share", 0, 1), StrategyError, "own has no parameter share"),
        (Narrowed("other.share", 0, 1), StrategyError, "own has no parameter other.share"),
        (Narrowed("own.share", 0.5, 2), UsageError, "the range of own.share is 0.5 to 2, expected one within 0 to 1"),
        (Narrowed("own.share", 0.5, 0.2), UsageError, "the range of own.share ends at 0.2, below its beginning 0.5"),
        (Narrowed("own.minutes", 1.5, 8.0), UsageError, "own.minutes takes whole numbers, found 1.5 to 8"),
    ],
)
def test_a_wrong_range_is_refused_in_one_line(narrowed: Narrowed, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as refused:
        space(narrowed)
    assert "\n" not in str(refused.value)


def test_a_strategy_without_a_parameter_to_search_is_refused() -> None:
    with pytest.raises(UsageError, match="own has no parameter left to search; it has none"):
        ranges(Described("own@12345678", (), {}, "", Mandate()), Settings())
    fixed = [Narrowed(f"own.{name}", parameter.default, parameter.default) for name, parameter in PARAMETERS.items()]
    with pytest.raises(UsageError, match="own has no parameter left to search; it has distance"):
        space(*[one._replace(low=float(one.low), high=float(one.high)) for one in fixed])


def test_the_profile_gives_the_defaults_of_our_strategies() -> None:
    strategy = described(ours("m5_bos"))
    starts = {one.name: one.start for one in ranges(strategy, Settings(profile="ftmo"))}
    assert (starts["trigger_units"], starts["minutes"]) == (0.8, 240)
