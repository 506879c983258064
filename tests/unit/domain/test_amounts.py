"""Numbers and amounts of dollars that a person has written."""

from decimal import Decimal

import pytest

from mikrobot.domain import amounts


@pytest.mark.parametrize("text", ["1_0", "\u0661", "\uff11", " 1", "1 ", "", "ten", "0x10", "1,000"])
def test_a_text_in_another_notation_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="expected a number"):
        amounts.number(text)


@pytest.mark.parametrize(
    ("text", "written"), [("1e12", "1000000000000"), ("5.00e3", "5000"), ("0.01", "0.01"), ("5000", "5000")]
)
def test_an_amount_is_written_without_an_exponent(text: str, written: str) -> None:
    assert str(amounts.dollars(Decimal(text))) == written


@pytest.mark.parametrize("text", ["0", "-1", "0.001", "1e-400", "1e15", "1e400", "NaN", "sNaN", "Infinity"])
def test_an_amount_is_positive_below_its_limit_and_in_whole_cents(text: str) -> None:
    with pytest.raises(ValueError, match="above 0 and below 1,000,000,000,000,000 in whole cents"):
        amounts.dollars(Decimal(text))
