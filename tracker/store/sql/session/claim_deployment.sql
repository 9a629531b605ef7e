-- Bind the database to a consumer group, at the first run, and return the group that it is bound to.
UPDATE deployment SET group_id = coalesce(group_id, %(group_id)b::text) RETURNING database_id, group_id
