"""The page about the local venue lists the faults that there are."""

import re
from pathlib import Path

from mikrobot.market.local_venue.faults import FAULTS

PAGE = Path(__file__).parents[4] / "docs/local-venue.md"


def test_the_page_lists_every_fault_with_its_description():
    rows = re.findall(r"^\| `(\w+)`( \(lasts\))? \| (.+) \|$", PAGE.read_text("utf-8").partition("| fault |")[2], re.M)
    listed = {name: (description, bool(lasts)) for name, lasts, description in rows}
    assert listed == {name: (fault.description, fault.lasting) for name, fault in FAULTS.items()}
