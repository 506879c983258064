"""The end of the stack that the tests of this folder share."""

import json


def test_down_stops_the_stack_and_status_shows_it(running, second):
    process = running.run("down")
    assert process.returncode == 0
    assert running.left() == []
    services = json.loads(running.run("status", "--json").stdout)["services"]
    assert not any(service["ready"] for service in services)
