"""The flow server on a real Prefect: deployments, retraining of a worse model, and the runs of a killed server."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import httpx
import psycopg
import pytest
import yaml

from mikrobot.live import pid_records
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.stack import processes, schedules, service_table
from mikrobot.stack.schedules import Schedules
from mikrobot.store import web_access
from mikrobot.store.postgres import bundled, database
from mikrobot.store.postgres.roles import OWNER
from tests.killing import kill_9

CLOCK = SystemClock()
DECLARED = {
    entry["name"]: entry for entry in yaml.safe_load((service_table.ROOT / "prefect.yaml").read_text())["deployments"]
}
ASK = """
import sys
from datetime import timedelta
from prefect import flow
from flows.degradation import ask_for_retraining
from flows.events import emit

@flow
def ask(hours: int) -> bool:
    emit("mikrobot.drift", "mikrobot.features.replay", "61% of the features drifted")
    return ask_for_retraining("replay", ["EURUSD is worse than promised"], timedelta(hours=hours))

print(ask(int(sys.argv[1])))
"""


@dataclass(frozen=True)
class Automated:
    """PostgreSQL, Prefect and the flow server of an installation."""

    program: Any

    @property
    def settings(self) -> Any:
        return self.program.settings

    @property
    def login(self) -> tuple[str, str]:
        return web_access.login(self.settings, "prefect")

    def start_flows(self) -> None:
        """Start the flow server and wait for the automation, which it registers last."""
        since = CLOCK.now()

        def registered() -> bool:
            automations = self.post("automations/filter", {})
            return any(datetime.fromisoformat(automation["updated"]) > since for automation in automations)

        processes.start(service_table.services(self.settings)["flows"], self.settings.home, self.settings.host)
        wait_until(registered, "the flow server registered nothing", CLOCK, timeout_s=90)

    def kill_flows(self) -> None:
        """End the flow server and the flow runs in it as `kill -9` does."""
        head = pid_records.find("flows", self.settings.home)
        assert head is not None
        kill_9(head)

    def get(self, path: str) -> Any:
        return self._request("GET", path).json()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self._request("POST", path, json=body).json()

    def delete(self, path: str) -> None:
        self._request("DELETE", path)

    def _request(self, method: str, path: str, **content: Any) -> httpx.Response:
        url = f"{self.settings.prefect_url}/api/{path}"
        return httpx.request(method, url, auth=self.login, timeout=30, **content).raise_for_status()

    def retrainings(self) -> list[dict[str, Any]]:
        deployment = self.get("deployments/name/retrain/retrain")["id"]
        return self.post("flow_runs/filter", {"deployments": {"id": {"any_": [deployment]}}})

    def state(self, flow_run: str) -> str:
        return self.get(f"flow_runs/{flow_run}")["state_type"]

    def substates(self, flow_run: str) -> list[str]:
        """Return the states of the flow runs that a flow run started."""
        started = self.post("flow_runs/filter", {"flow_runs": {"parent_flow_run_id": {"any_": [flow_run]}}})
        return [run["state_type"] for run in started]


@pytest.fixture(scope="module")
def automated(install: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Automated]:
    with install(tmp_path_factory.mktemp("automation")) as program, pytest.MonkeyPatch.context() as patch:
        patch.delenv("MIKROBOT_DATABASE_URL", raising=False)
        settings = program.settings
        bundled.start(settings.home, settings.host, settings.postgres_port)
        database.provision(settings)
        database.migrate(settings)
        prefect = service_table.services(settings)["prefect"]
        often = {**prefect.environment, "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "2"}
        prefect = replace(prefect, environment=often)
        processes.start(prefect, settings.home, settings.host)
        processes.await_ready(prefect, settings.home, CLOCK)
        automated = Automated(program)
        automated.start_flows()
        yield automated


@pytest.mark.parametrize("name", DECLARED)
def test_every_deployment_of_prefect_yaml_is_registered_with_its_schedule(automated: Automated, name: str):
    declared = DECLARED[name]
    flow = declared["entrypoint"].partition(":")[2]
    registered = automated.get(f"deployments/name/{flow}/{name}")
    crons = [schedule["schedule"] for schedule in registered["schedules"]]
    assert [(cron["cron"], cron["timezone"]) for cron in crons] == [
        (schedule["cron"], schedule["timezone"]) for schedule in declared.get("schedules", [])
    ]
    assert all(schedule["active"] for schedule in registered["schedules"])
    assert registered["paused"] is False
    assert registered["description"] == declared["description"]
    limit = registered["global_concurrency_limit"]
    assert (limit and limit["limit"]) == declared.get("concurrency_limit")


KEPT_BY_PREFECT = {
    "flow_run": "SELECT count(*) FROM flow_run WHERE name LIKE 'aged%'",
    "flow_run_state": "SELECT count(*) FROM flow_run_state JOIN flow_run r ON r.id = flow_run_id "
    "WHERE r.name LIKE 'aged%'",
    "task_run": "SELECT count(*) FROM task_run WHERE name LIKE 'aged%'",
    "log": "SELECT count(*) FROM log WHERE message LIKE 'aged%'",
    "artifact": "SELECT count(*) FROM artifact WHERE key LIKE 'aged%'",
    "events": "SELECT count(*) FROM events WHERE event LIKE 'aged%'",
    "event_resources": "SELECT count(*) FROM event_resources WHERE resource_id LIKE 'aged%'",
}
"""Number of the rows of a test in each table of Prefect that grows."""

SET_BACK = """
UPDATE flow_run SET start_time = start_time - interval '{age}', end_time = end_time - interval '{age}'
WHERE name LIKE 'aged {age}%';
UPDATE events SET occurred = occurred - interval '{age}' WHERE event LIKE 'aged {age}%';
UPDATE event_resources SET occurred = occurred - interval '{age}' WHERE resource_id LIKE 'aged {age}%'
"""
RECORD = """
import sys
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event
from prefect.logging import get_run_logger

age = sys.argv[1]
name = f"aged {age}"

@flow(flow_run_name=name)
def inner():
    get_run_logger().info(name)

@task(task_run_name=name)
def step():
    get_run_logger().info(name)

@flow(flow_run_name=name)
def outer():
    step()
    inner()
    create_markdown_artifact(key="aged-" + age.replace(" ", "-"), markdown=name)
    emit_event(name, resource={"prefect.resource.id": name})

outer()
"""


def kept_by_prefect(automated: Automated) -> dict[str, int]:
    with psycopg.connect(database.url(automated.settings, "prefect")) as connection:
        return {name: connection.execute(query).fetchone()[0] for name, query in KEPT_BY_PREFECT.items()}


def test_prefect_deletes_what_is_older_than_the_retention_time_and_keeps_the_rest(automated: Automated):
    environment = automated.program.variables | service_table.flow_environment(automated.settings)
    for age in ("91 days", "5 days"):
        subprocess.run([sys.executable, "-c", RECORD, age], env=environment, check=True, capture_output=True)
    one = {"flow_run": 2, "task_run": 1, "log": 2, "artifact": 1, "events": 1, "event_resources": 1}

    def whole() -> bool:
        counted = kept_by_prefect(automated)
        return all(counted[name] >= 2 * count for name, count in one.items())

    wait_until(whole, "the runs were not recorded", CLOCK, timeout_s=60)
    with psycopg.connect(database.url(automated.settings, "prefect")) as connection:
        for age in ("91 days", "5 days"):
            connection.execute(SET_BACK.format(age=age).encode())

    def old_are_gone() -> bool:
        counted = kept_by_prefect(automated)
        return all(counted[name] <= count for name, count in one.items())

    wait_until(old_are_gone, "Prefect kept what is old", CLOCK, timeout_s=60)
    counted = kept_by_prefect(automated)
    assert counted.pop("flow_run_state") == 6
    assert counted == one


def read(automated: Automated) -> Schedules:
    planned = schedules.schedules(automated.settings, CLOCK)
    assert planned is not None
    return planned


def findings(automated: Automated) -> dict[str, dict[str, Any]]:
    """Return the findings of the doctor by subject."""
    return {finding["what"]: finding for finding in json.loads(automated.program.run("doctor", "--json").stdout)}


def test_every_schedule_has_a_run_ahead_under_the_name_that_it_will_have(automated: Automated):
    schedules.await_scheduled(automated.settings, CLOCK)
    scheduled = {name for name, entry in DECLARED.items() if entry.get("schedules")}
    assert {run.deployment for run in read(automated).next_runs} == scheduled

    def drawn() -> list[str]:
        runs = automated.post("flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}})
        return [run["name"] for run in runs if ": " not in run["name"]]

    wait_until(lambda: not drawn(), "scheduled runs keep random names", CLOCK, timeout_s=60)


def test_the_automation_has_the_name_of_prefect_yaml(automated: Automated):
    [automation] = automated.post("automations/filter", {})
    assert automation["name"] == DECLARED["retrain"]["triggers"][0]["name"]


def test_status_and_doctor_notice_a_schedule_without_a_run_ahead(automated: Automated):
    schedules.await_scheduled(automated.settings, CLOCK)
    status = json.loads(automated.program.run("status", "--json").stdout)
    assert {run["deployment"] for run in status["next_runs"]} == {run.deployment for run in read(automated).next_runs}
    deployment = automated.get("deployments/name/ingest/ingest")["id"]
    chosen = {"deployment_id": {"any_": [deployment]}, "state": {"type": {"any_": ["SCHEDULED"]}}}
    with psycopg.connect(database.url(automated.settings, "prefect")) as connection:
        for run in automated.post("flow_runs/filter", {"flow_runs": chosen}):
            connection.execute("DELETE FROM flow_run WHERE id = %s", [run["id"]])
    assert read(automated).unscheduled == ("ingest",)
    schedules.await_scheduled(automated.settings, CLOCK)
    assert read(automated).unscheduled == ()


def test_doctor_notices_a_due_run_that_the_flow_server_does_not_start(automated: Automated):
    deployment = automated.get("deployments/name/report/report")["id"]
    server = pid_records.find("flows", automated.settings.home)
    assert server is not None
    server.suspend()
    try:
        due = CLOCK.now() - schedules.GRACE * 2
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due.isoformat()}}
        late = automated.post(f"deployments/{deployment}/create_flow_run", {"state": state})
        wait_until(
            lambda: "report" in [run.deployment for run in read(automated).late],
            "the late run was not shown", CLOCK, timeout_s=60,
        )  # fmt: skip
        finding = findings(automated)["late runs"]
        assert not finding["ok"]
        assert "report, due" in finding["found"]
        automated.delete(f"flow_runs/{late['id']}")
    finally:
        server.resume()
    wait_until(lambda: read(automated).late == (), "a late run is not started", CLOCK, timeout_s=60)


def test_doctor_names_a_service_that_ended_by_itself(automated: Automated):
    automated.kill_flows()
    finding = findings(automated)["flows"]
    assert not finding["ok"]
    assert finding["found"].startswith("ended by itself")
    automated.start_flows()
    assert "flows" not in findings(automated)


def test_a_run_that_a_killed_flow_server_left_running_is_crashed_when_the_next_one_starts(automated: Automated):
    with psycopg.connect(database.url(automated.settings, OWNER)) as connection:
        connection.execute("LOCK TABLE run IN ACCESS EXCLUSIVE MODE")  # keeps the retraining at its first question
        process = automated.program.run("retrain", "--reason", "to be killed")
        flow_run = process.stdout.strip().rpartition("/")[2]
        wait_until(lambda: automated.substates(flow_run) == ["RUNNING"], "no subflow ran", CLOCK, timeout_s=60)
        automated.kill_flows()
    assert automated.state(flow_run) == "RUNNING"
    automated.start_flows()
    wait_until(lambda: automated.substates(flow_run) == ["CRASHED"], "it was not set Crashed", CLOCK, timeout_s=60)
    assert automated.state(flow_run) == "CRASHED"


def interrupted_retraining(automated: Automated, interrupt: Callable[[], object]) -> tuple[str, str]:
    """Start a retraining, interrupt it at its first question; return the id of its flow run and the log since."""
    log = automated.settings.home / "logs" / "flows.log"
    position = log.stat().st_size
    with psycopg.connect(database.url(automated.settings, OWNER)) as connection:
        connection.execute("LOCK TABLE run IN ACCESS EXCLUSIVE MODE")
        process = automated.program.run("retrain", "--reason", "to be interrupted")
        flow_run = process.stdout.strip().rpartition("/")[2]
        wait_until(lambda: automated.substates(flow_run) == ["RUNNING"], "no subflow ran", CLOCK, timeout_s=60)
        interrupt()
    return flow_run, log.read_bytes()[position:].decode()


def test_a_flow_server_that_is_stopped_ends_the_run_in_it_and_writes_no_traceback(automated: Automated):
    flow_run, written = interrupted_retraining(
        automated, lambda: processes.stop("flows", automated.settings.home)
    )  # fmt: skip
    assert "Traceback" not in written, written
    assert " | ERROR " not in written, written
    assert automated.state(flow_run) == "CANCELLED"
    automated.start_flows()


def test_without_prefect_the_flow_server_ends_with_one_line(automated: Automated):
    home = automated.settings.home
    server, prefect = pid_records.find("flows", home), pid_records.find("prefect", home)
    log = home / "logs" / "flows.log"
    position = log.stat().st_size
    assert server is not None
    assert prefect is not None
    try:
        kill_9(prefect)
        wait_until(lambda: pid_records.find("flows", home) is None, "it did not end", CLOCK, timeout_s=60)
    finally:
        service = service_table.services(automated.settings)["prefect"]
        processes.start(service, home, automated.settings.host)
        processes.await_ready(service, home, CLOCK)
        automated.start_flows()
    written = log.read_bytes()[position:].decode()
    assert "Traceback" not in written, written
    assert f"error: Prefect at {automated.settings.prefect_url}/api refuses connections, so no flow can run" in written


def test_a_degradation_retrains_once_within_the_cooldown_and_drift_alone_does_not(automated: Automated):
    environment = automated.program.variables | service_table.flow_environment(automated.settings)

    def asked(hours: int) -> str:
        command = [sys.executable, "-c", ASK, str(hours)]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()

    def reasons() -> list[str]:
        return [run["parameters"]["reason"] for run in automated.retrainings()]

    reason = "degraded: EURUSD is worse than promised"
    assert asked(0) == "True"
    wait_until(lambda: reason in reasons(), "the degradation did not retrain", CLOCK, timeout_s=60)
    assert asked(1) == "False"
    assert [text for text in reasons() if "drift" in text or "degraded" in text] == [reason]
    assert len(automated.post("automations/filter", {})) == 1


def test_the_command_starts_a_retraining_for_the_given_reason_and_prints_its_address(automated: Automated):
    process = automated.program.run("retrain", "--reason", "spreads have doubled")
    assert process.returncode == 0, process.stderr
    address = process.stdout.strip().removeprefix("retraining: ")
    assert address.startswith(f"{automated.settings.prefect_url}/runs/flow-run/")
    created = automated.get(f"flow_runs/{address.rpartition('/')[2]}")
    assert created["parameters"] == {"reason": "spreads have doubled", "force": False}
    assert created["id"] in [run["id"] for run in automated.retrainings()]


def test_without_a_stack_the_command_explains_in_one_line_how_to_start_it(install: Callable[..., Any], tmp_path: Any):
    with install(tmp_path) as program:
        process = program.run("retrain")
        assert process.returncode == 2
        assert process.stderr.count("\n") == 1
        assert "`mikrobot up` first" in process.stderr
