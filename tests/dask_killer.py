"""A Dask cluster that loses a worker in the middle of the work."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import joblib
import pytest

distributed = pytest.importorskip("dask.distributed")


class Killer(distributed.SchedulerPlugin):
    """Kills the process of one worker (SIGKILL) while it has a task, once `after` tasks are done.

    victim : its address; None where nobody was killed.
    lost : the tasks that it had under way then.
    repeated : those of them that were done later, by another.
    """

    def __init__(self, scheduler, pids, after):
        self.scheduler, self.pids, self.after = scheduler, pids, after
        self.done = 0
        self.victim = None
        self.lost, self.repeated = set(), set()

    def transition(self, key, start, finish, *args, **kwargs):
        if (start, finish) != ("processing", "memory"):
            return
        self.done += 1
        if key in self.lost and kwargs.get("worker") != self.victim:
            self.repeated.add(key)
        busy = [one for one in self.scheduler.workers.values() if one.processing]
        if self.victim is None and self.done >= self.after and busy:
            self.victim = busy[0].address
            self.lost = {task.key for task in busy[0].processing}
            os.kill(self.pids[self.victim], signal.SIGKILL)


@contextmanager
def killing_cluster(after: int = 2) -> Iterator[Killer]:
    """joblib runs on two worker processes, one of which is killed after that many tasks."""
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",
            # it tells of every worker lost
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster) as client,
        joblib.parallel_config("dask"),
    ):
        killer = Killer(cluster.scheduler, client.run(os.getpid), after)
        cluster.scheduler.add_plugin(killer)
        yield killer
