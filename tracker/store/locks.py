"""The advisory locks of the job store: what takes each, and why.

PostgreSQL keeps them separately for each database, as a pair of integers: one of these classes, and a key.
All classes begin with the bytes ``tr``, so that they do not collide with those of another program.
"""

import hashlib

MIGRATION = 0x7472_0001
"""Key 0, for a session. A program holds it while it applies migrations, or grants: one does so at a time."""

PREREQUISITES = 0x7472_0002
"""Key: `prerequisites_key` of the tenant, for a transaction. A submit takes it after its rows are stored, and
then commits: exclusively if they wait for stored jobs, otherwise shared; in ascending order, and before it
locks any job. So two submits at once cannot close a cycle that neither sees, and no job can be stored, and
complete, between the last look-up of it and the edge that waits for it."""

SLOT = 0x7472_0003
"""Key: `text_key` of group, instance and slot, for a session. A supervisor holds it while its worker uses the
slot's transactional ID, so that two supervisors on one host take different slots."""

SCHEDULER = 0x7472_0004
"""Key 0, for a session. The scheduler that holds it is the active one."""

RETENTION = 0x7472_0005
"""Key 0, for a session. The process that holds it removes jobs that ended long ago."""


def prerequisites_key(tenant_key: int) -> int:
    """Return the key of a tenant. There are 1,024: one call for more tenants could exhaust the lock table."""
    return tenant_key % 1024


def text_key(*parts: str) -> int:
    """Return the key of `parts`: the same in every program and version, but not unique to them."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return int.from_bytes(digest[:4], "big", signed=True)
