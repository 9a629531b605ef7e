"""What a person did to a job in place of the tracker or of a worker, so that it stands where it stands."""

from datetime import datetime

from tracker.diagnosis.reason import Reason, ReasonCode
from tracker.diagnosis.standing import Standing
from tracker.diagnosis.wording import in_ms, time_text
from tracker.store.steps import Verb, ask

_MAX_CHARS = 500  # of what is quoted: a job may have been released from thousands
_SENTENCES = {
    "release": "released it, although it waited for {what}",
    "prerequisites": "changed what it waits for ({what})",
    "report": "reported on it in place of a worker: {what}",
}
"""By the verb of the action; other verbs show in the job's status."""


def find_what_was_done_by_hand(job: Standing) -> Verb[list[Reason]]:
    """Return the last thing that somebody did to a job, if it was such a thing."""
    rows = yield from ask("find_action", tenant_key=job.tenant_key, job_key=job.job_key)
    return [_reason(*row) for row in rows if row[2] in _SENTENCES]


def _reason(time: datetime, user: str, verb: str, what: str | None) -> Reason:
    quoted = (what or "")[:_MAX_CHARS] + ("…" if len(what or "") > _MAX_CHARS else "")
    done = _SENTENCES[verb].format(what=quoted)
    return Reason(
        code=ReasonCode.BY_HAND,
        text=f"{time_text(time)}: {user or 'somebody'} {done}.",
        subject=user or None,
        since=in_ms(time),
    )
