"""The page about MetaTrader 5 lists the faults of the stand-in, the codes with a remedy, and the settings."""

import re
from pathlib import Path

from mikrobot.market.local_terminal.faults import FAULTS
from mikrobot.market.mt5.codes import MEANINGS
from mikrobot.settings import Settings

PAGE = (Path(__file__).parents[3] / "docs/metatrader.md").read_text("utf-8")


def test_the_page_lists_every_fault_with_its_description():
    rows = re.findall(r"^\| `(\w+)`( \(lasts\))? \| (.+) \|$", PAGE.partition("| fault |")[2], re.M)
    listed = {name: (description, bool(lasts)) for name, lasts, description in rows}
    assert listed == {name: (fault.description, fault.lasting) for name, fault in FAULTS.items()}


def test_the_page_has_a_remedy_for_every_code():
    spans = re.findall(r"^\| (-\d+)(?: to (-\d+))? \|", PAGE.partition("## Troubleshooting")[2], re.M)
    codes = {code for first, last in spans for code in range(int(last or first), int(first) + 1)}
    assert codes == MEANINGS.keys()


def test_the_page_lists_every_setting():
    listed = set(re.findall(r"^\| `(mt5_\w+)`", PAGE, re.M))
    assert listed == {name for name in Settings.model_fields if name.startswith("mt5_")}
