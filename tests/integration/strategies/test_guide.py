"""The strategy in docs/writing-a-strategy.md works, and so do the commands for one's own."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from mikrobot.cli.main import main
from mikrobot.settings import Settings
from mikrobot.workflows import check_strategy

GUIDE = (Path(__file__).resolve().parents[3] / "docs/writing-a-strategy.md").read_text(encoding="utf-8")


def test_the_class_of_the_guide_keeps_the_contract(tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL)
    path = tmp_path / "above.py"
    path.write_text(program)
    checked = check_strategy.check(f"{path}:Above", Settings())
    assert [finding for finding in checked.findings if not finding.ok] == []


def test_new_list_and_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, ["strategy", "new", "Reversal"]).exit_code == 0
    again = CliRunner().invoke(main, ["strategy", "new", "Reversal"])
    assert (again.exit_code, "reversal.py exists already" in again.output) == (2, True)
    Path("mikrobot.toml").write_text('strategies = ["simple_break", "reversal.py:Reversal"]')
    listed = CliRunner().invoke(main, ["strategy", "list", "--json"])
    names = [(one["strategy"].partition("@")[0], one["trades"]) for one in json.loads(listed.output)]
    assert names == [("m5_bos", False), ("m1_retest", False), ("simple_break", True), ("Reversal", True)]
    Path("wrong.py").write_text("x = 1\n")
    wrong = CliRunner().invoke(main, ["strategy", "check", "wrong.py:Rules", "--json"])
    assert wrong.exit_code == 1
    (finding,) = json.loads(wrong.output)["checks"]
    assert finding["text"].endswith("wrong.py has no Rules; it has no class derived from Strategy")


def test_a_name_that_is_no_class_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused = CliRunner().invoke(main, ["strategy", "new", "my rules"])
    assert refused.exit_code == 2
    assert list(tmp_path.iterdir()) == []
