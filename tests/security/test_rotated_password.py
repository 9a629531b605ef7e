"""A password for Kafka whose file changes while the tracker runs."""

from pathlib import Path

from tests.security.conftest import Secure, Secured
from tests.support.kafka import wait_until
from tests.support.program import Program

NEW = "another-äß/@:'%"


def test_a_password_file_is_read_again_for_each_new_connection(secure: Secure, tracker: Secured) -> None:
    for _, bindings in tracker.acls("run"):
        secure.kafka.allow(*bindings)
    tracker.submit("job")
    with Program(tracker.variables) as program:
        program.wait_for("ready")
        tracker.process(tracker.message("acme:job.1"))
        secure.kafka.add_user(tracker.user, NEW)
        secure.kafka.broker.kill()  # and with it all connections
        secure.kafka.broker.start()
        wait_until(lambda: "uthentication failed" in program.text(), "the old password to be refused")
        Path(tracker.by_password["TRACKER_KAFKA_SASL_PASSWORD_FILE"]).write_text(NEW + "\n")
        tracker.submit("later")
        tracker.process(tracker.message("acme:job.2*"))
        tracker.programs = 1
        tracker.wait_until_sent()
        assert tracker.status("job") == "Completed"
        assert tracker.started().count("acme:later") == 1
        assert program.stop() == 0
