"""What the documents show and the tests cannot run as it stands: each with its reason.

A line of a shell example that matches a pattern of `NOT_RUN` is parsed only. `stand_ins` gives what takes the
place of a name or a number in the tests.
"""

import re

MAKE = "runs this test too, or takes long; that its target exists is tested"

NOT_RUN: dict[str, str] = {
    r"make .*": MAKE,
    r"\.venv/bin/python -m bench native.*": "needs Rust's cargo: tests/bench/test_native.py runs the rest",
    r"\.venv/bin/(tracker|ruff|python) .*|eval \"\$\(\.venv/bin/tracker stack env\)\"": MAKE,
    r"python -m bench .*": "takes long: tests/bench runs it with less",
    r"for n in .* time tracker .*|python -X importtime .*": "measures a command that tests/cli runs",
    r"TRACKER_WORKERS=2 tracker run": "runs until it is stopped: tests/acceptance runs it",
    r"cd docs/results|\.\./\.\./\.venv/bin/python -m bench page .*": "tests/bench prints the page",
    r"pip install .*": "installs from an index",
    r"py-spy .*": "a profiler, installed from an index",
    r"export TRACKER_(KAFKA_BOOTSTRAP_SERVERS|DATABASE_URL)=.*": "a cluster's address",
    r"export TRACKER_TOPICS=tracking-a .*": "topics and group of one of several deployments",
    r"tracker stack up|eval \"\$\(tracker stack env\)\"": "tests/stack/test_commands.py runs it",
    r"kafka-(topics|configs)\.sh .*|acl.*": "Kafka's own tools, at a cluster's address",
    r"tracker dead-letters show .*": "there must be this one: tests/cli/test_dead_letters.py has some",
    r"tracker dead-letters replay tracker-.*": "the same: tests/cli/test_change_letters.py has some",
    r"tracker job cancel acme:import-7 --wait .*": (
        "there must be such a job and a tracker: tests/acceptance/test_cancel_wait.py has both"
    ),
    r"tracker job retry acme:import-x --failed-tasks": (
        "there must be such a job: tests/acceptance/test_failed_tasks.py has some"
    ),
    r"tracker adopt --skip .*": (
        "there must be a record that cannot be received: tests/acceptance/test_unreceivable.py has one"
    ),
    r"TRACKER_DATABASE_URL=postgresql://tracker_owner@db/tracker tracker migrate .*": (
        "roles belong to a whole server: tests/security/test_roles.py runs it on one of its own"
    ),
    r"psql .* -f deploy/hash-partitions\.sql": "tests/hash_partitions runs the script",
}

NO_EXAMPLES = {"mermaid": "a picture", "text": "what was measured", "yaml": "a part of a file for Kubernetes"}


def why_not(line: str) -> str | None:
    """Return the pattern on the list that a line of a shell example matches; None: it is run."""
    command = re.sub(r"\s+#\s.*", "", line).strip()
    return next((pattern for pattern in NOT_RUN if re.fullmatch(pattern, command)), None)


def stand_ins(suffix: str, database: str) -> dict[str, str]:
    """Return what stands for what: topics and groups of the test's own, and what one broker can do."""
    own = {name: f"{name}-{suffix}" for name in ("worker-in", "worker-out", "document-worker")}
    return own | {
        "--replication-factor 3": "--replication-factor 1",
        "ROLE tracker": f"ROLE tracker_{suffix}",
        "TO tracker_owner": f"TO tracker_{suffix}_owner",
        "ON DATABASE tracker ": f"ON DATABASE {database} ",
        "documents,pages,results": f"documents-{suffix},pages-{suffix},results-{suffix}",
        "splitter.py ": f"splitter.py --group splitter-{suffix} ",
        "page_worker.py ": f"page_worker.py --group page-worker-{suffix} ",
        "--input documents --pages pages": f"--input documents-{suffix} --pages pages-{suffix}",
        "--input pages": f"--input pages-{suffix}",
        '"taskPipe": "documents"': f'"taskPipe": "documents-{suffix}"',
        '"targetPipe": "results"': f'"targetPipe": "results-{suffix}"',
    }
