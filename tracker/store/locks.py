"""The advisory locks of the job store: who takes which, and why.

PostgreSQL keeps them for each database apart, as a pair of integers: a class from here, and a key. All
of the tracker's begin with the bytes ``tr``, so that they do not meet another program's by chance.
"""

import hashlib

MIGRATION = 0x7472_0001
"""Key 0, for a transaction. Held while a migration is applied, so that one program does it at a time."""

PREREQUISITES = 0x7472_0002
"""Key: `prerequisites_key` of the tenant, for a transaction. A submit takes it when its rows are stored,
alone if they wait for stored jobs and else shared, in ascending order and before any job, and then commits.
So two submits at once cannot close a cycle that neither sees, and no job can slip in, and complete, between
the last look for it and the edge that waits for it."""

SLOT = 0x7472_0003
"""Key: `text_key` of group, instance and slot, for a session. A supervisor holds it for as long as its worker
uses the slot's transactional ID, so that two supervisors on one host take different slots."""

SCHEDULER = 0x7472_0004
"""Key 0, for a session. Whoever holds it is the one that sends what no message triggers."""

RETENTION = 0x7472_0005
"""Key 0, for a session. Whoever holds it is the one that removes jobs that ended long ago."""


def prerequisites_key(tenant_key: int) -> int:
    """Return the key for a tenant: one of 1,024, as a call for more tenants could exhaust the lock table."""
    return tenant_key % 1024


def text_key(*parts: str) -> int:
    """Return the key that stands for `parts`: the same in every program and version, and not injective."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return int.from_bytes(digest[:4], "big", signed=True)
