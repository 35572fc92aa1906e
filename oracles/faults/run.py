"""The campaign of faults: every one of them, planted in its turn, on several seeds and workers."""

from __future__ import annotations

import fnmatch
import multiprocessing
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pebble import ProcessPool

from oracles import campaign
from oracles.campaign import Tally, start_worker
from oracles.catalogue import DIFFERENTIATED
from oracles.errors import HarnessError, UsageError
from oracles.faults.bank import ORDERS, Bank
from oracles.faults.equivalents import gap, reason
from oracles.faults.fault import Fault
from oracles.faults.floor import Floor, floor_of
from oracles.faults.targets import all_faults, fault_named, hosts
from oracles.faults.trial import Outcome, try_fault

TIMEOUT = 900.0
"""Seconds that a worker may spend on all faults of one function."""


@dataclass(frozen=True)
class Options:
    """What a campaign of faults was asked to do."""

    seeds: int = 10
    """Campaigns: those of the seeds 0, 1 and so on."""
    examples: int = 5000
    """Drawn programs per dtype after which a campaign gives up on a fault."""
    only: str = "*"
    """A pattern for the names of faults."""
    floors: bool = True
    """Whether to find the detection floors too."""
    workers: int = 1


@dataclass(frozen=True)
class Task:
    """All faults that the same programs reach, in the campaign of one seed."""

    hosts: tuple[str, ...]
    faults: tuple[str, ...]
    seed: int
    examples: int


@dataclass(frozen=True)
class Done:
    outcomes: Sequence[Outcome]
    cases: int
    """Cases that were looked at by the referee."""
    seconds: float
    """How long that took."""


def chosen_faults(only: str) -> list[Fault]:
    """The faults whose names fit a pattern; raises `UsageError` if there are none."""
    chosen = [fault for fault in all_faults() if fnmatch.fnmatchcase(str(fault), only)]
    if not chosen:
        raise UsageError(f"--only {only!r}: no fault is called so; give a pattern such as 'sign@*' or '*@hypot.*'")
    return chosen


def tasks_of(faults: Sequence[Fault], seeds: Sequence[int], examples: int) -> list[Task]:
    """Seed by seed; faults that are none, or not to be met, are tried once, to see whether that is so."""
    tasks = []
    for seed in seeds:
        groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for fault in faults:
            if seed == seeds[0] or not (reason(fault) or gap(fault)):
                groups[hosts(fault.target)].append(str(fault))
        tasks += [Task(names, tuple(group), seed, examples) for names, group in groups.items()]
    return tasks


def work(task: Task) -> Done:
    """In a worker: every fault of a task, on the same bank."""
    bank = Bank(task.hosts, campaign.Options(examples=task.examples, seed=task.seed))
    outcomes = [try_fault(fault_named(name), task.seed, bank) for name in task.faults]
    looked_at = [question for question in bank.drawn if question.seconds]
    return Done(outcomes, len(looked_at), sum(question.seconds for question in looked_at))


@dataclass(frozen=True)
class FloorTask:
    """The detection floors of one function, in one dtype and order."""

    function: str
    dtype: str
    order: int


def work_floor(task: FloorTask) -> Floor:
    """In a worker."""
    return floor_of(task.function, task.dtype, task.order)


Result = TypeVar("Result")


def run(
    options: Options, on_progress: Callable[[Tally], None] = lambda tally: None
) -> tuple[list[Outcome], list[Floor]]:
    """Try every fault in the campaign of every seed, and find every floor, for a pattern that asks for some of each.

    Raises `HarnessError` where a worker does not come back.
    """
    tasks = tasks_of(chosen_faults(options.only), range(options.seeds), options.examples)
    floors = floor_tasks() if options.floors else []
    tally = Tally(total=sum(len(task.faults) for task in tasks) + len(floors))

    def count(number: int, caught: int, doing: str) -> None:
        tally.cases, tally.failures, tally.doing = tally.cases + number, tally.failures + caught, doing
        on_progress(tally)

    context = multiprocessing.get_context("spawn")
    with ProcessPool(options.workers, context=context, initializer=start_worker) as pool:
        try:
            done, found = [], []
            for task, result in in_order(pool, work, tasks):
                done.append(result)
                caught = sum(outcome.caught for outcome in result.outcomes)
                count(len(result.outcomes), caught, f"seed {task.seed}, {task.hosts[0]}")
            for floor_task, floor in in_order(pool, work_floor, floors):
                found.append(floor)
                count(1, 0, f"floor of {floor_task.function}")
        except BaseException:
            pool.stop()
            raise
    mean = sum(d.seconds for d in done) / max(sum(d.cases for d in done), 1)
    return [replace(outcome, seconds=mean * outcome.cases) for d in done for outcome in d.outcomes], found


def floor_tasks() -> list[FloorTask]:
    return [FloorTask(f, dtype, order) for f in DIFFERENTIATED for dtype in ("float64", "float32") for order in ORDERS]


def in_order(pool: ProcessPool, do: Callable[[Any], Result], tasks: Sequence[Any]) -> Iterator[tuple[Any, Result]]:
    """Each task with what came of it, once it and all before it are done."""
    futures = [pool.schedule(do, [task], timeout=TIMEOUT) for task in tasks]
    for task, future in zip(tasks, futures, strict=True):
        try:
            yield task, future.result()
        except Exception as error:
            raise HarnessError(f"{task}: {type(error).__name__}: {error}") from error
