"""Runs that start at the same instant: one of them enters the state folder, however often that is tried."""

import multiprocessing
import os
from contextlib import ExitStack
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from mikrobot.domain.errors import ServiceError
from mikrobot.live import pid_records
from mikrobot.workflows import run

RIVALS = 4


def race(home: Path, rounds: int, start: Barrier, leave: Barrier, entered: "multiprocessing.SimpleQueue[int]") -> None:
    """Try to enter in each round, and stay until every rival has tried."""
    for number in range(rounds):
        with ExitStack() as stack:
            start.wait()
            try:
                stack.enter_context(run._alone(home))
                entered.put(number)
            except ServiceError:
                pass  # another one has entered
            leave.wait()


@pytest.mark.parametrize("rounds", [50, pytest.param(1_000, marks=pytest.mark.soak)])
def test_one_of_the_runs_that_start_at_once_enters(tmp_path: Path, rounds: int) -> None:
    context = multiprocessing.get_context("fork")
    start, leave = (context.Barrier(RIVALS, timeout=60) for _ in range(2))
    entered = context.SimpleQueue()
    rivals = [context.Process(target=race, args=(tmp_path, rounds, start, leave, entered)) for _ in range(RIVALS)]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join()
    assert [rival.exitcode for rival in rivals] == [0] * RIVALS
    numbers = []
    while not entered.empty():
        numbers.append(entered.get())
    assert numbers == list(range(rounds))


def test_a_killed_run_leaves_the_folder_to_the_next(tmp_path: Path) -> None:
    if (child := os.fork()) == 0:
        ended = run._alone(tmp_path)
        ended.__enter__()
        os._exit(9)
    os.waitpid(child, 0)
    assert pid_records._path(run.RUN_RECORD, tmp_path).exists()
    with run._alone(tmp_path):
        recorded = pid_records.find(run.RUN_RECORD, tmp_path)
        assert recorded is not None
        assert recorded.pid == os.getpid()


def test_the_run_that_is_refused_names_the_other(tmp_path: Path) -> None:
    with run._alone(tmp_path), pytest.raises(ServiceError, match=rf"another run uses .* \(pid {os.getpid()}\); wait"):
        run._alone(tmp_path).__enter__()
    with run._alone(tmp_path):
        pass
