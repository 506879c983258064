import json
import sys

import pytest

from expectations import suites
from mikrobot.domain.errors import GateError
from mikrobot.domain.market import BAR_COLUMNS
from mikrobot.features.catalog import CATALOG


def test_the_stored_feature_suite_is_the_one_the_catalog_implies() -> None:
    assert suites.read("features") == suites.features(), "run: make docs"


def test_the_feature_suite_judges_every_column_of_the_catalog() -> None:
    judged = {expectation["kwargs"].get("column") for expectation in suites.features()["expectations"]}
    assert judged == {None, "symbol", "close_time", *CATALOG.columns}


def test_only_columns_that_may_be_missing_are_spared_the_check_for_missing_values() -> None:
    complete = {
        expectation["kwargs"]["column"]: expectation["kwargs"]["rows"]
        for expectation in suites.features()["expectations"]
        if expectation["type"] == "expect_column_values_to_be_known_after"
    }
    assert complete == {spec.name: spec.warmup for spec in CATALOG.specs if not spec.may_be_missing}


def test_the_feature_suite_holds_every_column_to_the_range_of_the_catalog() -> None:
    ranges = {
        expectation["kwargs"]["column"]: (expectation["kwargs"]["min_value"], expectation["kwargs"]["max_value"])
        for expectation in suites.features()["expectations"]
        if expectation["type"] == "expect_column_values_to_be_between"
    }
    largest = sys.float_info.max
    assert ranges == {spec.name: (max(spec.low, -largest), min(spec.high, largest)) for spec in CATALOG.specs}


def test_the_bars_suite_demands_the_columns_of_a_bar_frame() -> None:
    demanded = suites.read("bars")["expectations"][0]["kwargs"]["column_list"]
    assert demanded == list(BAR_COLUMNS)


@pytest.mark.parametrize("name", ["bars", "features"])
def test_every_expectation_has_its_own_description_and_severity(name: str) -> None:
    expectations = suites.read(name)["expectations"]
    descriptions = [expectation["description"] for expectation in expectations]
    assert len(set(descriptions)) == len(expectations)
    assert {expectation["severity"] for expectation in expectations} == {"critical", "warning"}


def test_a_suite_survives_strict_json() -> None:
    json.dumps(suites.features(), allow_nan=False)


def test_an_unknown_suite_is_named_with_those_there_are() -> None:
    with pytest.raises(GateError, match="bars, features; found 'ticks'"):
        suites.read("ticks")
