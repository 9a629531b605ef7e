"""Fixtures that have batches redelivered; a folder whose tests need one imports them in its `conftest.py`."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.deployment import Deployment
from tests.support.kafka import DEADLINE_S
from tracker.kafka.errors import BatchAbandoned
from tracker.kafka.producer import BatchProducer

Meanwhile = Callable[[], object]


class FailingPublish:
    """Has workers abandon batches that the database has applied, before anything of them is published.

    At the first batch that fails, the worker waits until the test has done what it has to do in between.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._left = 0
        self._applied, self._resume = threading.Event(), threading.Event()
        publish = BatchProducer.publish

        def fail(producer: BatchProducer, records: Any, *arguments: Any) -> None:
            if self._left and records:
                self._left -= 1
                self._applied.set()
                assert self._resume.wait(DEADLINE_S)
                raise BatchAbandoned("a test wants it")
            publish(producer, records, *arguments)

        monkeypatch.setattr(BatchProducer, "publish", fail)

    @contextmanager
    def times(self, times: int = 1) -> Iterator[None]:
        """Run the block while a batch is applied and not published; then it is redelivered, `times` times."""
        self._left = times
        self._applied.clear()
        self._resume.clear()
        yield
        self._resume.set()

    def wait_until_applied(self) -> None:
        """Wait until a batch is applied."""
        assert self._applied.wait(DEADLINE_S)


@pytest.fixture
def failing_publish(monkeypatch: pytest.MonkeyPatch) -> FailingPublish:
    """Workers whose batches fail to be published when a test wants it."""
    return FailingPublish(monkeypatch)


@pytest.fixture
def redeliver(running: Deployment, failing_publish: FailingPublish) -> Callable[..., None]:
    """Process records that are redelivered after they have been applied; `meanwhile` is called in between."""

    def process(*records: Any, meanwhile: Meanwhile = lambda: None, times: int = 1) -> None:
        with failing_publish.times(times):
            running.send(*records)
            failing_publish.wait_until_applied()
            meanwhile()
        running.wait_until_processed()

    return process
