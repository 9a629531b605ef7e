import pytest
from confluent_kafka import KafkaException, Producer

from tests.settings.librdkafka import installed_table
from tests.support.environments import loaded, problem, problems
from tracker.settings.kafka import SECRETS, properties
from tracker.settings.refused import REFUSED, RESTRICTED


def properties_of(**variables: str) -> dict[str, dict[str, str]]:
    """Return what each kind of client is given beyond the brokers."""
    settings = loaded(**{f"TRACKER_KAFKA_{name}": value for name, value in variables.items()})
    clients = {
        "client": settings.kafka_client_properties(),
        "consumer": settings.consumer_properties(),
        "producer": settings.producer_properties(),
    }
    for given in clients.values():
        assert given.pop("bootstrap.servers") == "broker:9092"
    return clients


def test_table_is_that_of_the_installed_librdkafka() -> None:
    table = "".join("\t".join(row) + "\n" for row in properties().values())
    assert table == installed_table(), (
        "run `python tests/settings/librdkafka.py > tracker/settings/librdkafka.tsv`"
    )


def test_no_property_begins_like_a_side_and_no_two_have_one_variable() -> None:
    variables = [item.variable for item in properties().values()]
    assert len(set(variables)) == len(variables)
    assert not [name for name in variables if name.startswith(("CONSUMER_", "PRODUCER_"))]


@pytest.mark.parametrize("name", [*REFUSED, *RESTRICTED, *sorted(SECRETS)])
def test_rules_are_about_properties_that_exist(name: str) -> None:
    assert name in properties()


def test_property_for_both_sides_goes_to_all_clients() -> None:
    given = {"client.rack": "r1"}
    assert properties_of(CLIENT_RACK="r1") == {"client": given, "consumer": given, "producer": given}


def test_common_property_goes_only_to_the_clients_that_know_it() -> None:
    clients = properties_of(LINGER_MS="3", FETCH_MIN_BYTES="4")
    assert clients == {"client": {}, "consumer": {"fetch.min.bytes": "4"}, "producer": {"linger.ms": "3"}}


def test_property_for_one_side_goes_only_there() -> None:
    clients = properties_of(CONSUMER_CLIENT_ID="c", PRODUCER_CLIENT_ID="p")
    assert clients == {"client": {}, "consumer": {"client.id": "c"}, "producer": {"client.id": "p"}}


def test_property_for_one_side_wins_over_the_common_one() -> None:
    clients = properties_of(CLIENT_ID="all", PRODUCER_CLIENT_ID="p")
    assert [given["client.id"] for given in clients.values()] == ["all", "all", "p"]


def test_property_for_one_side_wins_under_its_other_name_too() -> None:
    clients = properties_of(
        SASL_MECHANISM="PLAIN", SECURITY_PROTOCOL="sasl_ssl", CONSUMER_SASL_MECHANISMS="GSSAPI"
    )
    assert clients["consumer"] == {"sasl.mechanisms": "GSSAPI", "security.protocol": "sasl_ssl"}


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("SECURITY_PROTOCOL", "PLAINTEXT", "security.protocol", "plaintext"),
        ("LOG_LEVEL", "7", "log_level", "7"),
        ("SOCKET_KEEPALIVE_ENABLE", "yes", "socket.keepalive.enable", "true"),
        ("TOPIC_METADATA_REFRESH_INTERVAL_MS", "-1", "topic.metadata.refresh.interval.ms", "-1"),
        ("DEBUG", "broker, eos", "debug", "broker,eos"),
        ("PRODUCER_LINGER_MS", "0.5", "linger.ms", "0.5"),
        ("PRODUCER_PARTITIONER", "murmur2_random", "partitioner", "murmur2_random"),
        ("CONSUMER_GROUP_PROTOCOL", "Consumer", "group.protocol", "consumer"),
        ("GROUP_REMOTE_ASSIGNOR", "uniform", "group.remote.assignor", "uniform"),
        ("SASL_OAUTHBEARER_ASSERTION_FILE", "/a/b", "sasl.oauthbearer.assertion.file", "/a/b"),
        ("SSL_CA_LOCATION", "/ca.pem", "ssl.ca.location", "/ca.pem"),
        ("TRANSACTION_TIMEOUT_MS", "60000", "transaction.timeout.ms", "60000"),
    ],
)
def test_value_reaches_the_client(variable: str, text: str, name: str, value: str) -> None:
    needed = {"GROUP_PROTOCOL": "consumer"} if variable == "GROUP_REMOTE_ASSIGNOR" else {}
    clients = properties_of(**{variable: text}, **needed)
    assert value in {given.get(name) for given in clients.values()}


@pytest.mark.parametrize(
    ("variable", "text", "allowed"),
    [
        ("SECURITY_PROTOCOL", "tls", "one of plaintext, ssl, sasl_plaintext, sasl_ssl"),
        ("RETRY_BACKOFF_MS", "0", "a whole number from 1 to 300000"),
        ("RETRY_BACKOFF_MS", "5.5", "a whole number from 1 to 300000"),
        ("RETRY_BACKOFF_MS", "0x10", "a whole number from 1 to 300000"),
        ("LINGER_MS", "-1", "a number from 0 to 900000"),
        ("LINGER_MS", "nan", "a number from 0 to 900000"),
        ("SOCKET_KEEPALIVE_ENABLE", "maybe", "true or false (also yes, no, 1, 0)"),
        ("DEBUG", "broker,nonsense", "one or more of generic, broker"),
        ("CLIENT_ID", "", "anything but empty"),
        ("BOOTSTRAP_SERVERS", "a:9092,", "host:port of one or more brokers"),
        ("BOOTSTRAP_SERVERS", "a:99999", "host:port of one or more brokers"),
        ("BOOTSTRAP_SERVERS", "a b", "host:port of one or more brokers"),
        ("PARTITIONER", "random", "because a job's messages keep their order only"),
        ("SASL_KERBEROS_PRINCIPAL", "x; rm -rf /", "because it becomes part of a shell command"),
    ],
)
def test_value_that_is_not_allowed_is_a_problem(variable: str, text: str, allowed: str) -> None:
    sentence = problem(**{f"TRACKER_KAFKA_{variable}": text})
    assert sentence.startswith(f'TRACKER_KAFKA_{variable} is "{text}": it must be ')
    assert allowed in sentence


@pytest.mark.parametrize(
    "brokers", ["a", "a:1,b-2.example:65535", "[::1]:9092", "SASL_SSL://a:9092", "10.0.0.1:1, b"]
)
def test_brokers_are_given_as_librdkafka_takes_them(brokers: str) -> None:
    settings = loaded(TRACKER_KAFKA_BOOTSTRAP_SERVERS=brokers)
    assert settings.kafka_client_properties() == {"bootstrap.servers": brokers}


def test_brokers_may_be_given_under_the_propertys_older_name() -> None:
    settings = loaded(TRACKER_KAFKA_METADATA_BROKER_LIST="broker:9092")
    assert settings.kafka_client_properties() == {"metadata.broker.list": "broker:9092"}


@pytest.mark.parametrize("name", list(REFUSED))
@pytest.mark.parametrize("side", ["", "CONSUMER_", "PRODUCER_"])
def test_property_that_the_promises_rest_on_is_refused_with_its_reason(name: str, side: str) -> None:
    variable = f"TRACKER_KAFKA_{side}{properties()[name].variable}"
    assert problem(**{variable: "1"}) == f'{variable} is "1": {name} cannot be set, because {REFUSED[name]}.'


@pytest.mark.parametrize(
    "name", ["request.required.acks", "message.send.max.retries", "max.in.flight.requests.per.connection"]
)
def test_property_is_refused_under_its_other_name_too(name: str) -> None:
    assert "cannot be set" in problem(**{f"TRACKER_KAFKA_{properties()[name].variable}": "1"})


def test_property_of_the_other_side_is_a_problem() -> None:
    assert problem(TRACKER_KAFKA_CONSUMER_LINGER_MS="1") == (
        'TRACKER_KAFKA_CONSUMER_LINGER_MS is "1": linger.ms is a property of producers.'
    )


def test_consumers_and_producers_cannot_be_sent_to_different_clusters() -> None:
    sentence = problem(TRACKER_KAFKA_PRODUCER_BOOTSTRAP_SERVERS="other:9092")
    assert "must be TRACKER_KAFKA_BOOTSTRAP_SERVERS" in sentence


@pytest.mark.parametrize(
    ("variable", "near"),
    [
        ("TRACKER_KAFKA_LINGER_MSS", "TRACKER_KAFKA_LINGER_MS"),
        ("TRACKER_KAFKA_CONSUMER_FETCH_MINBYTES", "TRACKER_KAFKA_CONSUMER_FETCH_MIN_BYTES"),
        ("TRACKER_KAFKA_SASL_PASSWORD_FLE", "TRACKER_KAFKA_SASL_PASSWORD_FILE"),
    ],
)
def test_unknown_property_is_a_problem_with_the_nearest_name(variable: str, near: str) -> None:
    assert problem(**{variable: "1"}).endswith(f"librdkafka has no such property; did you mean {near}?")


@pytest.mark.parametrize("variable", ["TRACKER_KAFKA_", "TRACKER_KAFKA_CONSUMER_", "TRACKER_KAFKA_ERROR_CB"])
def test_what_no_variable_can_hold_is_unknown(variable: str) -> None:
    assert "no such property" in problem(**{variable: "x"})


def test_refused_property_is_never_what_was_meant() -> None:
    assert "did you mean TRACKER_KAFKA_GROUP_ID?" not in problem(TRACKER_KAFKA_GROUPID="x")


def test_two_names_of_one_property_that_differ_are_a_problem_naming_both() -> None:
    sentence = problem(TRACKER_KAFKA_LINGER_MS="1", TRACKER_KAFKA_QUEUE_BUFFERING_MAX_MS="2")
    assert 'TRACKER_KAFKA_LINGER_MS is "1" and TRACKER_KAFKA_QUEUE_BUFFERING_MAX_MS is "2"' in sentence


def test_two_names_of_one_secret_that_differ_do_not_show_it() -> None:
    sentence = problem(
        TRACKER_KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET="hush",
        TRACKER_KAFKA_SASL_OAUTHBEARER_CLIENT_CREDENTIALS_CLIENT_SECRET="hush-too",
    )
    assert "hush" not in sentence


def test_two_names_of_one_property_may_be_equal() -> None:
    clients = properties_of(LINGER_MS="1", QUEUE_BUFFERING_MAX_MS="1")
    assert len(clients["producer"]) == 1


def test_what_the_newer_rebalance_protocol_leaves_to_brokers_is_a_problem_with_it() -> None:
    sentence = problem(TRACKER_KAFKA_GROUP_PROTOCOL="consumer", TRACKER_KAFKA_SESSION_TIMEOUT_MS="6000")
    assert sentence.startswith('TRACKER_KAFKA_SESSION_TIMEOUT_MS is "6000": with group.protocol=consumer')


def test_remote_assignor_needs_the_newer_rebalance_protocol() -> None:
    assert "needs TRACKER_KAFKA_GROUP_PROTOCOL=consumer" in problem(
        TRACKER_KAFKA_GROUP_REMOTE_ASSIGNOR="uniform"
    )


def test_sides_are_checked_by_themselves() -> None:
    assert len(problems(TRACKER_KAFKA_CONSUMER_CLIENT_ID="", TRACKER_KAFKA_PRODUCER_CLIENT_ID="")) == 2


def test_client_takes_what_it_is_given() -> None:
    properties_given = properties_of(
        SECURITY_PROTOCOL="PLAINTEXT",
        LINGER_MS="0.5",
        COMPRESSION_TYPE="LZ4",
        SOCKET_KEEPALIVE_ENABLE="yes",
        LOG_LEVEL="0",
    )
    try:
        Producer(properties_given["producer"])
    except KafkaException as error:
        pytest.fail(str(error))
