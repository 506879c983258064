"""Snapshots of the feature state."""

from datetime import UTC, datetime, timedelta

import pytest

from mikrobot.store.states import KEPT, FeatureStates

START = datetime(2024, 3, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def states(pool):
    return FeatureStates(pool)


def test_the_newest_state_at_or_before_an_instant_is_loaded(states):
    for hour in (0, 1, 2):
        states.save("replay", "EURUSD", "v1", START + hour * HOUR, snapshot=bytes([hour, 0, 255]))
    assert states.load("replay", "EURUSD", "v1", START + HOUR) == (START + HOUR, bytes([1, 0, 255]))
    assert states.load("replay", "EURUSD", "v1", START + 1.5 * HOUR) == (START + HOUR, bytes([1, 0, 255]))
    assert states.load("replay", "EURUSD", "v1", START - HOUR) is None


def test_states_of_other_sources_symbols_and_versions_are_not_loaded(states):
    states.save("replay", "EURUSD", "v1", START, snapshot=b"state")
    for other in (("simulated", "EURUSD", "v1"), ("replay", "BTCUSDT", "v1"), ("replay", "EURUSD", "v2")):
        assert states.load(*other, START) is None


def test_saving_the_same_instant_again_replaces_it(states):
    states.save("replay", "EURUSD", "v1", START, snapshot=b"old")
    states.save("replay", "EURUSD", "v1", START, snapshot=b"new")
    assert states.load("replay", "EURUSD", "v1", START) == (START, b"new")


def test_the_states_saved_last_are_kept_even_when_they_are_of_earlier_instants(states):
    for hour in range(KEPT + 3):
        states.save("replay", "EURUSD", "v1", START + hour * HOUR, snapshot=b"%d" % hour)
    states.save("replay", "EURUSD", "v1", START - HOUR, snapshot=b"of the past")
    assert states.load("replay", "EURUSD", "v1", START) == (START - HOUR, b"of the past")
    assert states.load("replay", "EURUSD", "v1", START + 100 * HOUR) == (START + (KEPT + 2) * HOUR, b"%d" % (KEPT + 2))


def test_a_replay_that_starts_over_forgets_the_states_of_later_closes(states):
    for hour in (0, 1, 2):
        states.save("replay", "EURUSD", "v1", START + hour * HOUR, snapshot=b"%d" % hour)
    states.save("replay", "BTCUSDT", "v1", START + 2 * HOUR, snapshot=b"other")
    states.rewind("replay", "EURUSD", START + HOUR)
    assert states.load("replay", "EURUSD", "v1", START + 9 * HOUR) == (START + HOUR, b"1")
    assert states.load("replay", "BTCUSDT", "v1", START + 9 * HOUR) == (START + 2 * HOUR, b"other")
