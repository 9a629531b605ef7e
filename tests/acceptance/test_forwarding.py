"""A message for a worker is forwarded as it came."""

from collections.abc import Iterator

import pytest

from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.messages import OMIT
from tests.support.records import Record
from tracker.metrics import UNTRACKED

TRACEPARENT = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


@pytest.fixture
def tracker(deploy: Deploy, delivery: str) -> Deployment:
    """A deployment with each way of delivery."""
    return deploy(TRACKER_DELIVERY=delivery)


def test_key_headers_and_bytes_stay_as_they_were(running: Deployment) -> None:
    headers = (TRACEPARENT, ("x-other", b"\xff\x00"), ("x-other", None), ("x-empty", b""))
    sent = running.more_work("acme:job.1", headers=headers, unknown={"kept": [1, 2.50]})
    running.process(sent)
    [forwarded] = running.work()
    assert (forwarded.key, forwarded.value, forwarded.headers) == (sent.key, sent.value, headers)


def test_the_count_of_refusals_is_taken_away(running: Deployment) -> None:
    """Also where each message is sent by itself, to find which one Kafka refuses."""
    count = ("tracker-error-count", b"2")
    sent = [
        running.more_work("acme:job.1", headers=(count, TRACEPARENT, count)),
        running.more_work("acme:job.2", headers=(count,)),
    ]
    running.process(*sent)
    running.kafka.configure(running.topics.work, **{"max.message.bytes": "10000"})
    large = running.more_work("acme:job.3", headers=(count,), padding="x" * 20_000)
    running.process(*sent, large)
    assert {each.headers for each in running.work()} == {(TRACEPARENT,), ()}
    assert len(running.work()) >= 4  # at least once
    [letter] = running.dead_letters()
    assert letter.header("tracker-error-count") == "3"


def test_where_tracking_ends_tracking_is_null_and_all_else_as_it_was(running: Deployment) -> None:
    results = running.topics.results
    tracking = f'{{"jobTaskId" : "acme:job.1",\n "trackTo":"{results}", "x": [{{}}]}}'
    value = ' {"taskId":"x", "to":"%s",  "tracking" : %s , "context":{"tracking":1}, "n": 1.50e0 }\n'
    sent = Record("", b"acme:job", (value % (results, tracking)).encode(), (TRACEPARENT,))
    running.process(sent)
    [forwarded] = running.results()
    assert forwarded.value == (value % (results, "null")).encode()
    assert (forwarded.key, forwarded.headers) == (sent.key, sent.headers)


def test_tracking_ends_where_the_topics_differ_only_by_case(running: Deployment) -> None:
    running.process(running.message("acme:job.1", track_to=running.topics.results.upper()))
    [forwarded] = running.results()
    assert forwarded.json["tracking"] is None


def test_nothing_is_sent_where_there_is_no_destination(running: Deployment) -> None:
    running.process(
        running.message("acme:job.1", to=None, track_to=None),
        running.message("acme:job.2", to=None),
        running.message("acme:job.3*", to=OMIT),
    )
    assert running.kafka.read(*running.topics[1:]) == []


@pytest.mark.parametrize(
    "fields",
    [{"tracking": None}, {"tracking": OMIT}, {}],
    ids=["tracking null", "no tracking", "no jobTaskId"],
)
def test_a_message_that_names_no_task_is_forwarded_and_counted(
    running: Deployment, fields: dict[str, object]
) -> None:
    sent = running.message(None, to=running.topics.work, headers=(TRACEPARENT,), **fields)
    running.process(sent)
    [forwarded] = running.work()
    assert (forwarded.key, forwarded.value, forwarded.headers) == (sent.key, sent.value, sent.headers)
    assert running.count(UNTRACKED) == 1
    assert running.status("job") == "Waiting"


def test_the_records_of_a_kafka_partition_are_forwarded_in_their_order(tracker: Deployment) -> None:
    for job_id in "abc":
        tracker.submit(job_id)
    sent = [tracker.more_work(f"acme:{'abc'[number % 3]}.{number}") for number in range(1, 3_001)]
    tracker.start(workers=2, scheduler=False)
    tracker.send(*sent, kafka_partition=1)
    tracker.wait_until_processed()
    assert [each.value for each in tracker.work()] == [each.value for each in sent]


def test_keys_make_no_difference_to_the_result(deploy: Deploy) -> None:
    def keys() -> Iterator[bytes | None]:
        while True:
            yield from (None, b"", b"\xff\xfe", b"acme:other", b"acme:job")

    tracker = deploy(partitions=4)
    tracker.submit("job")
    tracker.start(workers=2, scheduler=False)
    names = [*(f"acme:job.{number}" for number in range(1, 500)), "acme:job.500*"]
    sent = [tracker.message(name)._replace(key=key) for name, key in zip(names, keys(), strict=False)]
    tracker.process(*sent)
    assert (tracker.status("job"), tracker.percentage("job")) == ("Completed", 100)
    assert sorted(each.key or b"" for each in tracker.results()) == sorted(each.key or b"" for each in sent)


def test_there_may_be_several_tracking_topics(deploy: Deploy) -> None:
    tracker = deploy()
    second = tracker.topics.tracking + "-second"
    tracker.kafka.create({second: 1})
    tracker.variables["TRACKER_TOPICS"] += "," + second
    tracker.submit("job")
    tracker.start(scheduler=False)
    tracker.kafka.send([tracker.message("acme:job.1*")], second)
    tracker.wait_until_processed()
    assert tracker.status("job") == "Completed"
    assert len(tracker.results()) == 1


def test_a_new_group_starts_at_the_earliest_record(tracker: Deployment) -> None:
    tracker.submit("job")
    tracker.send(*(tracker.message(f"acme:job.{number}") for number in (1, 2)))
    tracker.start(scheduler=False)
    tracker.process(tracker.message("acme:job.3*"))
    assert tracker.status("job") == "Completed"


def test_records_of_an_aborted_transaction_are_not_seen(running: Deployment) -> None:
    from confluent_kafka import Producer

    producer = Producer(
        {
            "bootstrap.servers": running.kafka.bootstrap_servers,
            "transactional.id": running.topics.tracking,
        }
    )
    producer.init_transactions()
    for outcome in (producer.abort_transaction, producer.commit_transaction):
        producer.begin_transaction()
        name = "acme:job.1" if outcome == producer.abort_transaction else "acme:job.2*"
        producer.produce(running.topics.tracking, running.message(name).value, b"acme:job")
        producer.flush()
        outcome()
    running.process(running.message("acme:job.3"))
    assert [each.json["taskId"] for each in running.results()] != []
    assert len(running.results()) == 2
