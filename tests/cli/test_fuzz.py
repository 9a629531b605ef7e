"""Command lines made up by chance: an exit status that means something, and a sentence, never a traceback."""

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.cli.conftest import Command
from tests.support.profile import FACTOR

_words = st.sampled_from(
    [
        "job", "partition", "stack", "adopt", "config", "topics", "migrate", "demo", "run", "dead-letters",
        "submit", "show", "list", "count", "wait", "why", "watch", "missing", "failures", "cancel", "pause",
        "resume", "delete", "release", "prerequisites", "replay", "drop", "suspend", "up", "down", "env",
        "database", "kafka", "--json", "--help", "--status", "--limit", "--sort", "--label", "--prefix",
        "--partition", "--add", "--remove",
        "--timeout", "--all-matching", "--cascade", "--dry-run", "--check", "--version", "--wait", "--", "-",
        "--summary", "--waiting-for", "--transitive",
        "-1", "0", "1", "Waiting", "id", "-createTime", "a=b", "acme:job", "nosuch", "*", ":", "/nonexistent",
        "9" * 30, "nan",
    ]
)  # fmt: skip
# An argument has no NUL; bytes that are no UTF-8 come as half characters.
_arguments = st.lists(_words | st.text(st.characters(exclude_characters="\0"), max_size=8), max_size=7)
_sensible = st.tuples(
    st.sampled_from(
        [["job"], ["partition"], ["job", "list"], ["job", "count"], ["job", "wait"], ["job", "show"]]
    ),
    _arguments,
).map(lambda pair: [*pair[0], *pair[1]])
# What would start or stop servers, or wait for Kafka, is not run here.
_NOT_RUN = {"run", "topics", "adopt", "demo", "stack", "watch"}


def is_safe(arguments: list[str]) -> bool:
    return not _NOT_RUN & {*arguments} or "--help" in arguments[:2]


@given((_arguments | _sensible).filter(is_safe))
@example(["job", "list", "\udc80"])
@example(["job", "\ud800"])
@settings(
    max_examples=120 * FACTOR,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
def test_any_arguments_end_with_a_status_and_a_sentence(command: Command, arguments: list[str]) -> None:
    if "--timeout" not in arguments and "wait" in arguments:
        arguments = [*arguments, "--timeout", "0"]
    result = command(*arguments)
    assert result.status in {0, 1, 2, 3}, (arguments, result)
    if result.status:
        assert result.err.strip() or result.out.strip(), arguments
    assert "Error:" not in result.err
