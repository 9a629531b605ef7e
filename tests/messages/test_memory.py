"""A refused record leaves memory with its batch, without the help of the garbage collector."""

import ast
import gc
import importlib
import pkgutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import tracker
from tests.support.decoding import NOW_MS, RULES, KafkaRecord
from tests.support.messages import record_of, task_message
from tests.support.model.poison import POISON, TRACKING_TOPICS, Poison
from tracker.messages.decode import decode_batch

ROOT = Path(tracker.__file__).parent

TO_ANOTHER_TRACKING_TOPIC = Poison(
    "another tracking topic", task_message("acme:job.1", to=TRACKING_TOPICS[1]), (), "destination-not-allowed"
)


@contextmanager
def without_garbage_collector() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("poison", [*POISON, TO_ANOTHER_TRACKING_TOPIC], ids=lambda poison: poison.name[:60])
def test_nothing_keeps_a_refused_record(poison: Poison) -> None:
    """An exception that is kept, or that a frame of its own traceback holds, would keep the record."""
    with without_garbage_collector():
        records = [
            KafkaRecord(record_of(poison.value, headers=poison.headers, topic=TRACKING_TOPICS[0]))
            for _ in range(3)
        ]
        seen = [weakref.ref(record) for record in records]
        batch = decode_batch(records, RULES, NOW_MS)
        assert [why.reason for _, why in batch.refused] == [poison.reason] * 3
        del records, batch
        assert [ref() for ref in seen] == [None] * 3


KEPT_ONCE = {"worker.py": "self._context.pipeline.failure", "retention.py": "self._failure"}
"""What a thread died of, which ends its process: raised once, by the main thread."""


@pytest.mark.parametrize(
    "module", sorted(ROOT.rglob("*.py")), ids=lambda module: str(module.relative_to(ROOT))
)
def test_no_handler_keeps_its_exception(module: Path) -> None:
    """Not in an attribute, nor in another local, which would make a cycle of the exception and its frame."""
    kept = {
        ast.unparse(target)
        for handler in ast.walk(ast.parse(module.read_text()))
        if isinstance(handler, ast.ExceptHandler) and handler.name
        for statement in ast.walk(handler)
        if isinstance(statement, ast.Assign) and is_name(statement.value, handler.name)
        for target in statement.targets
    }
    assert kept <= {KEPT_ONCE.get(module.name)}


def is_name(value: ast.expr, name: str) -> bool:
    return isinstance(value, ast.Name) and value.id == name


def test_no_module_has_an_exception_ready_to_be_raised() -> None:
    found = [
        f"{module.name}.{name}"
        for module in pkgutil.walk_packages(tracker.__path__, "tracker.")
        if not module.name.endswith("__main__")
        for name, value in vars(importlib.import_module(module.name)).items()
        if isinstance(value, BaseException)
    ]
    assert found == []
