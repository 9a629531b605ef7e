"""Environments made up by chance: settings, or all that is wrong with them, and never a secret."""

from hypothesis import given
from hypothesis import strategies as st

from tests.support.environments import ENOUGH
from tests.support.profile import THOROUGH
from tracker.errors import SettingsError
from tracker.settings import describe, load
from tracker.settings.model import VARIABLES

SECRET = "hunter2-hunter2"

_names = st.sampled_from([variable.name for variable in VARIABLES]) | st.sampled_from(
    [
        "TRACKER_DATABASE_URL", "TRACKER_DATABASE_URL_FILE", "TRACKER_KAFKA_BOOTSTRAP_SERVERS",
        "TRACKER_KAFKA_SASL_USERNAME", "TRACKER_KAFKA_SECURITY_PROTOCOL",
        "TRACKER_KAFKA_PRODUCER_LINGER_MS", "TRACKER_KAFKA_GROUP_ID", "TRACKER_KAFKA_",
        "TRACKER_", "TRACKER__FILE", "TRACKER_TOPIC", "CAF_WORKER_INPUT_QUEUE", "JOB_SERVICE_DATABASE_PORT",
        "CAF_JOB_TRACKING_PROPAGATE_FAILURES", "PGPORT", "PGHOST", "PGSSLMODE", "PGOPTIONS",
    ]
) | st.from_regex(r"TRACKER_(KAFKA_)?[A-Z_0-9]{0,12}(_FILE)?", fullmatch=True)  # fmt: skip
# What a process can be given: bytes but NUL, which Python shows as half characters where they are no UTF-8.
_values = (
    st.text(st.characters(min_codepoint=1, max_codepoint=0xD7FF), max_size=20)
    | st.sampled_from(["", " ", "-1", "0", "1e400", "9" * 5_000, "true", "a,,b", "\udcff", "/", "/dev/null"])
    | st.sampled_from(["postgresql://", "postgresql://u:p@[::1/x", "host=a port=b", "port='", "http://["])
)


@given(st.dictionaries(_names, _values, max_size=5))
@THOROUGH
def test_any_variables_make_settings_or_problems_that_name_them(variables: dict[str, str]) -> None:
    environ = ENOUGH | variables
    problems: tuple[str, ...] = ("TRACKER_ nothing",)
    try:
        describe(load(environ))
    except SettingsError as error:
        problems = error.problems
    assert problems
    for sentence in problems:
        assert any(name in sentence for name in [*environ, "TRACKER_"]), sentence
        assert sentence.isprintable(), sentence


@given(
    st.dictionaries(_names, _values, max_size=4),
    st.sampled_from(["URL", "SASL", "PG", "JOB_SERVICE"]),
    _values,
)
@THOROUGH
def test_secrets_are_masked_whatever_else_is_wrong(variables: dict[str, str], where: str, tail: str) -> None:
    secret = {
        "URL": {"TRACKER_DATABASE_URL": f"postgresql://user:{SECRET}@host:{tail}/x"},
        "SASL": {"TRACKER_KAFKA_SASL_PASSWORD": SECRET, "TRACKER_KAFKA_SASL_MECHANISM": tail},
        "PG": {"PGPASSWORD": SECRET, "PGPORT": tail},
        "JOB_SERVICE": {"JOB_SERVICE_DATABASE_PASSWORD": SECRET, "JOB_SERVICE_DATABASE_PORT": tail},
    }[where]
    try:
        shown = repr(describe(load(ENOUGH | variables | secret)))
    except SettingsError as error:
        shown = str(error)
    assert SECRET not in shown
