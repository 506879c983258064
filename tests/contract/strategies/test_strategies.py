"""The contract of every strategy of ours, and of the template; a new strategy is tested by itself."""

from copy import deepcopy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mikrobot.decision.outlook import Outlook
from mikrobot.decision.signals import NoSignal
from mikrobot.decision.strategies.catalog import STRATEGIES, ours
from mikrobot.decision.strategies.strategy import Memory, Strategy
from mikrobot.settings import Settings
from mikrobot.workflows import check_strategy, new_strategy


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_of_ours_keeps_its_contract(name: str) -> None:
    checked = check_strategy.check(name, Settings())
    assert [finding for finding in checked.findings if not finding.ok] == []


def test_the_template_of_a_new_strategy_keeps_it_too(tmp_path: Path) -> None:
    path = new_strategy.write("MyRules", tmp_path)
    assert path.name == "my_rules.py"
    checked = check_strategy.check(f"{path}:MyRules", Settings())
    assert [finding for finding in checked.findings if not finding.ok] == []
    (answered,) = (finding for finding in checked.findings if finding.what == "answers every close")
    assert " 0 signals" not in answered.text


def closes_of(outlooks: list[Outlook]) -> pd.DataFrame:
    """Return the frame of one symbol that a filter reads."""
    rows = [
        {
            "atr": outlook.atr, "above": outlook.level_above, "below": outlook.level_below,
            "up": outlook.probability_up, "down": outlook.probability_down, **outlook.features,
        }
        for outlook in outlooks
    ]  # fmt: skip
    return pd.DataFrame(rows, pd.DatetimeIndex([outlook.close_time for outlook in outlooks]))


def variants(strategy: type[Strategy]) -> list[Strategy]:
    """Return a strategy with its defaults, and with each parameter at its bounds."""
    bounds = {name: (given.low, given.high) for name, given in strategy.parameters.items()}
    return [strategy(), *(strategy(**{name: value}) for name, both in bounds.items() for value in both)]


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_filter_leaves_out_no_signal_and_no_change_of_the_memory(name: str) -> None:
    strategy = ours(name)
    outlooks = [
        outlook for outlook in check_strategy.market(strategy.columns, Settings()) if outlook.symbol == "EURUSD"
    ]
    closes, left_out = closes_of(outlooks), 0
    for variant in variants(strategy):
        asked = variant.candidates(closes)
        if asked is None:
            continue
        half = len(closes) // 2
        np.testing.assert_array_equal(variant.candidates(closes.head(half)), asked[:half])
        memory: Memory = {}
        for outlook, wanted in zip(outlooks, asked.tolist(), strict=True):
            idle = not wanted and not (memory and variant.waits(memory))
            before = deepcopy(memory) if idle else memory
            answer = variant.signal(outlook, memory)
            if idle:
                left_out += 1
                assert isinstance(answer, NoSignal)
                assert memory == before
    assert left_out or strategy.candidates is Strategy.candidates
