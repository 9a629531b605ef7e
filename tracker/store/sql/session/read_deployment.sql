-- Return the ID of this database, and the consumer group that it serves.
SELECT database_id, group_id FROM deployment
