"""Task data is sent as it was written, or refused with the path of what JSON does not have."""

import base64
import datetime as dt
import decimal
import json
import uuid
from collections import OrderedDict
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.jobs import JSON_TEXTS, TASK, job
from tests.support.profile import THOROUGH
from tracker import InvalidJob
from tracker.jobs.task_data import TaskData, canonical_json, read_task_data
from tracker.jobs.validation import accept


class Colour(StrEnum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


def read(data: Any, encoding: str | None = None) -> TaskData:
    return read_task_data(msgspec.structs.replace(TASK, task_data=data, task_data_encoding=encoding))


@pytest.mark.parametrize(
    ("value", "is_what"),
    [
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (b"bytes", "of the Python type bytes"),
        (bytearray(b"x"), "of the Python type bytearray"),
        (decimal.Decimal("1.5"), "of the Python type Decimal"),
        ({1, 2}, "of the Python type set"),
        (frozenset(), "of the Python type frozenset"),
        (dt.date(2026, 1, 1), "of the Python type date"),
        (uuid.uuid4(), "of the Python type UUID"),
        (object(), "of the Python type object"),
        (TASK, "of the Python type NewTask"),
        (10**5_000, "a whole number of too many digits"),
        ("\ud800", "a lone surrogate"),
    ],
    ids=lambda value: str(type(value)),
)
def test_what_json_does_not_have_is_refused_with_its_path(value: Any, is_what: str) -> None:
    for data, path in (
        ({"a": [1, {"b": value}]}, r"taskData\.a\[1\]\.b"),
        ({"a": (1, MappingProxyType({"b": value}))}, r"taskData\.a\[1\]\.b"),
        (MappingProxyType({"b": value}), r"taskData\.b"),
    ):
        with pytest.raises(InvalidJob, match=rf"\(default:a\): {path} (is|has) {is_what}"):
            accept([job("a", task=msgspec.structs.replace(TASK, task_data=data))], str)


@pytest.mark.parametrize("key", [1, 1.5, True, None, (1,), b"x", "\ud800"])
def test_a_key_is_a_string(key: Any) -> None:
    with pytest.raises(Exception, match=r"taskData\.a"):
        read({"a": {key: 1}})


def test_equivalent_json_is_accepted() -> None:
    data = {
        "a": Colour.RED,
        Colour.RED: Number.ONE,
        "c": (1, [OrderedDict(z=1)]),
        "d": MappingProxyType({"e": 1.5}),
    }
    assert read(data).sent == b'{"a":"red","red":1,"c":[1,[{"z":1}]],"d":{"e":1.5}}'


@pytest.mark.parametrize("text", JSON_TEXTS)
def test_a_text_and_its_bytes_in_base64_are_the_same(text: str) -> None:
    assert read(text) == read(base64.b64encode(text.encode()).decode(), "base64")
    assert read(text).sent == text.encode()


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ('{"b": 1.50, "a": [ 1, 2 ]}', '{"a":[1,2],"b":1.50}'),
        (' {"b":2,"a":1,"b":1}\n', '{"a":1,"b":2,"b":1}'),
        ('{"\\u0061": "\\/"}', '{"a":"/"}'),
        ("[1]", None),
        ("text", None),
        ("", None),
        ('{"a": NaN}', None),
        ('{"a": 1} 2', None),
        ('{"a": "\\ud800"}', None),
        ('{"a":' * 200 + "1" + "}" * 200, '{"a":' * 200 + "1" + "}" * 200),
        ('{"a":' * 201 + "1" + "}" * 201, None),
        ('{"a":' * 100_000, None),
    ],
)
def test_the_canonical_form_of_an_object(text: str, canonical: str | None) -> None:
    assert canonical_json(text.encode()) == (None if canonical is None else canonical.encode())


_json = st.recursive(
    st.none() | st.booleans() | st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(st.dictionaries(st.text(), _json, max_size=5))
@THOROUGH
def test_a_programs_object_and_its_text_have_one_canonical_form(data: dict[str, Any]) -> None:
    read_data = read(data)
    assert json.loads(read_data.sent) == data
    assert read_data.canonical is not None
    assert read_data.canonical == canonical_json(read_data.sent) == read(read_data.sent.decode()).canonical
    assert canonical_json(read_data.canonical) == read_data.canonical


def test_an_object_too_deep_for_a_canonical_form_is_compared_by_its_bytes() -> None:
    data: dict[str, Any] = {}
    for _ in range(250):
        data = {"x": data}
    assert read(data) == read(read(data).sent.decode())
    assert read(data).canonical is None
