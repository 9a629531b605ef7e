-- What tells this database from a copy or another one, and which consumer group it serves.
SELECT database_id, group_id FROM deployment
