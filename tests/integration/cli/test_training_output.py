"""The output of `mikrobot train`: one JSON document for scripts, and no output of a framework."""

import json


def test_a_training_prints_one_json_document_and_nothing_of_a_framework(install, bar_files, tmp_path):
    with install(tmp_path) as program:
        process = program.run("train", "--model", "bos", "--trials", 2, "--data", bar_files["EURUSD"], "--json")
        left = program.left()
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout)["bos"]["version"] == "1"
    assert process.stderr == ""
    assert left == []
