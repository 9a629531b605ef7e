"""Brings Kafka's offsets and the database together again when they disagree.

They disagree after offsets were moved, a topic was recreated, or the database was exchanged or restored from
an earlier copy. Workers and scheduler then refuse to continue (`tracker.agreement`), because only a person
can know what is right:

- *follow the database*: the group's offsets become what the database knows. Nothing that it has applied is
  reported again; what it does not know to be published is forwarded (again).
- *follow Kafka*: the database takes the group's offsets as they are. What lies between is reported and
  forwarded again (if the offset is behind), or never (if it is ahead).

No job that must start is lost in either case: if it is not known whether its task message was sent, it is
sent again.
"""

from tracker.adoption.carry_out import carry_out, require_stopped
from tracker.adoption.plan import Change, Leader, plan
from tracker.adoption.skip import plan_skip, store_skip

__all__ = ["Change", "Leader", "carry_out", "plan", "plan_skip", "require_stopped", "store_skip"]
