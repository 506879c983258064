"""The changes with which a run is decided again."""

import pytest

from mikrobot.domain.errors import SettingsError, UsageError
from mikrobot.settings import Settings
from mikrobot.workflows.replay_run import code_hash, configuration_hash, parse, with_changes


def test_changes_replace_settings_and_parameters() -> None:
    rules = Settings(strategy_parameters={"simple_break.stop_atr": 2, "simple_break.minutes": 10})
    changed = with_changes(rules, parse(["entry_probability=0.6", "profile = ftmo", "simple_break.minutes=20"]))
    assert (changed.entry_probability, changed.profile) == (0.6, "ftmo")
    assert changed.strategy_parameters == {"simple_break.stop_atr": 2, "simple_break.minutes": 20.0}
    assert configuration_hash(changed) != configuration_hash(rules)


def test_without_changes_the_rules_and_their_hash_stay() -> None:
    assert configuration_hash(with_changes(Settings(), {})) == configuration_hash(Settings())
    assert code_hash() == code_hash()


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("entry_probability", r"expects KEY=VALUE, as entry_probability=0.6, not 'entry_probability'"),
        ("=0.6", r"expects KEY=VALUE"),
        ("swing=15", r"cannot change 'swing'; it can change profile, entry_probability and parameters"),
        ("simple_break.minutes=many", r"'many' is no number"),
    ],
    ids=["no value", "no key", "another setting", "no number"],
)
def test_a_malformed_change_is_refused_in_one_line(pair: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        with_changes(Settings(), parse([pair]))


@pytest.mark.parametrize("pair", ["entry_probability=7", "entry_probability=high", "profile=brave"])
def test_a_value_out_of_range_is_refused(pair: str) -> None:
    with pytest.raises(SettingsError, match=pair.partition("=")[0]):
        with_changes(Settings(), parse([pair]))


def test_a_change_is_named_once() -> None:
    with pytest.raises(UsageError, match="names profile twice"):
        parse(["profile=ftmo", "profile=lightning"])
