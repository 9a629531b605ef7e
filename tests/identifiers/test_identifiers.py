"""The grammar of identifiers, against one that goes through them a character at a time."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.profile import THOROUGH
from tracker.identifiers import (
    BadIdentifier,
    JobName,
    Step,
    TaskName,
    child_path,
    parent_of,
    parse_index,
    parse_indexes,
    parse_job_name,
    parse_task_name,
)

FORBIDDEN = ".,:;*?!|()"
Read = tuple[str, str, list[tuple[int, bool]]]


def read(text: str) -> Read | None:
    """Read a `jobTaskId` slowly: partition ID, job ID, and (index, mark) of each level; None: malformed."""
    if len(text) > 1_000:
        return None
    name, rest = text, ""
    for place, character in enumerate(text):
        if character == ".":
            name, rest = text[:place], text[place:]
            break
    partition_id, job_id = name.split(":", 1) if ":" in name else ("default", name)
    if not is_word(partition_id, 40) or not is_word(job_id, 48):
        return None
    levels = []
    while rest:
        level = read_level(rest)
        if level is None:
            return None
        index, marked, rest = level
        levels.append((index, marked))
    return (partition_id, job_id, levels) if len(levels) <= 100 else None


def is_word(text: str, longest: int) -> bool:
    return 0 < len(text) <= longest and not any(character in FORBIDDEN for character in text)


def read_level(text: str) -> tuple[int, bool, str] | None:
    """Read `.12*` off the front of a text; return the index, whether it is marked, and what is left."""
    digits = ""
    rest = text[1:]
    while rest and rest[0] in "0123456789":
        digits, rest = digits + rest[0], rest[1:]
    marked = rest.startswith("*")
    rest = rest[marked:]
    if digits == "" or digits[0] == "0" or int(digits) > 2**31 - 1 or (rest and rest[0] != "."):
        return None
    return int(digits), marked, rest


def parsed(text: str) -> Read | None:
    """Read it as the program does, and check that the parts of what it makes agree."""
    try:
        name = parse_task_name(text)
    except BadIdentifier:
        return None
    path = ""
    for step in name.steps:
        assert step.parent_path == path
        path = child_path(path, step.child)
        assert parent_of(path) == (step.parent_path, step.child)
    assert name.path == path
    return name.job.partition_id, name.job.job_id, [(step.child, step.is_last) for step in name.steps]


words = st.text(st.sampled_from("aZ0- é😀_/%\0\n"), min_size=1, max_size=6) | st.sampled_from(
    ["p" * 40, "j" * 48]
)
indexes = st.integers(1, 2**31 - 1) | st.sampled_from([1, 9, 10, 2**31 - 1])
levels = st.tuples(indexes, st.sampled_from(["", "", "*"])).map(lambda level: f".{level[0]}{level[1]}")


@st.composite
def job_task_ids(draw: st.DrawFn) -> str:
    """Draw one that is well formed, unless a partition ID is too long."""
    partition = draw(st.sampled_from(["", "acme:"]) | words.map(lambda word: word + ":"))
    return partition + draw(words) + "".join(draw(st.lists(levels, max_size=5)))


@st.composite
def mutations(draw: st.DrawFn) -> str:
    """Draw one with a few characters cut out, put in or repeated."""
    text = draw(job_task_ids())
    for _ in range(draw(st.integers(1, 3))):
        first, end = sorted(draw(st.tuples(*[st.integers(0, len(text))] * 2)))
        new = draw(
            st.sampled_from(["", ".", ":", "*", "0", "00", "1", ",", "?", "|", " ", "\n", "\u0661", "\uff11"])
        )
        text = text[:first] + draw(st.sampled_from([new, new + text[first:end]])) + text[end:]
    return text


@given(job_task_ids() | mutations())
@example("j" + ".1" * 100)
@example("j" + ".1" * 101)
@example("j" + ".2147483647" * 90 + ".11111111")
@example("j" + ".2147483647" * 90 + ".111111111")
@example("j.2147483648")
@example("j.9999999999")
@example("j.1\n")
@THOROUGH
def test_task_names_are_read_as_the_grammar_says(text: str) -> None:
    assert parsed(text) == read(text)


@given(words, words)
@THOROUGH
def test_job_names_are_read_back_as_they_are_written(partition_id: str, job_id: str) -> None:
    name = JobName(partition_id, job_id)
    if is_word(partition_id, 40) and is_word(job_id, 48):
        assert parse_job_name(str(name)) == name
    else:
        with pytest.raises(BadIdentifier):
            parse_job_name(str(name))


def test_without_a_partition_id_it_is_the_default() -> None:
    assert parse_job_name("job") == JobName("default", "job")


def test_a_task_name_says_how_one_gets_there() -> None:
    assert parse_task_name("acme:job-7.3.12*") == TaskName(
        JobName("acme", "job-7"), "3.12", (Step("", 3, False), Step("3", 12, True))
    )


def test_the_parent_of_a_task_is_one_step_up() -> None:
    assert parse_task_name("acme:job.3.12*").parent() == parse_task_name("acme:job.3")
    assert parse_task_name("acme:job.3").parent() == parse_task_name("acme:job")


def test_what_is_malformed_is_named_but_not_at_any_length() -> None:
    with pytest.raises(BadIdentifier, match=r"task index is .*, not 'x'") as caught:
        parse_task_name("acme:job.x")
    with pytest.raises(BadIdentifier, match="and 999,000 characters more") as long:
        parse_index("9" * 1_000_000)
    assert len(str(long.value)) < len(str(caught.value)) + 1_100


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "the job ID is empty"),
        (":a", "the partition ID is empty"),
        ("a.b", "the job ID has '.' at character 2, where none of . , : ; * ? ! | ( ) is allowed: 'a.b'"),
        ("p*:a", "the partition ID has '*' at character 2"),
        ("p:q:r", "the job ID has ':' at character 2"),
        ("j" * 49, f"the job ID has 49 characters, at most 48 are allowed: '{'j' * 49}'"),
        ("p" * 300 + ":a", f"the partition ID has 300 characters, at most 40 are allowed: '{'p' * 300}'"),
    ],
)
def test_a_refusal_says_which_rule_is_broken_and_where_and_shows_the_whole_text(text: str, rule: str) -> None:
    with pytest.raises(BadIdentifier) as caught:
        parse_job_name(text)
    assert rule in str(caught.value)


texts = st.tuples(
    indexes | st.sampled_from([0, 2**31, 10**10]), st.sampled_from(["", "", "*", "**", ",", ",1"])
).map(lambda text: f"{text[0]}{text[1]}") | st.sampled_from(
    ["", "*", "-1", "+1", " 1", "1 ", "\u0661", "1\n", "01", "1,2", ","]
)


@given(
    st.lists(levels.map(lambda level: level[1:]) | levels.map(lambda level: level[1:]) | texts, min_size=1)
)
@example(["1", "2,3"])
@example(["1,2", "3"])
@example(["3*", "1", "2*"])
@THOROUGH
def test_many_indexes_are_read_as_one_by_one(texts: list[str]) -> None:
    try:
        each = [parse_index(text) for text in texts]
    except BadIdentifier:
        assert parse_indexes(texts) is None
    else:
        last = max([index for index, marked in each if marked], default=0)
        assert parse_indexes(texts) == ([index for index, _ in each], last)
