-- Divides the tables of the tracker's schema, with their rows, into hash partitions by tenant:
--
--     tracker migrate
--     psql "$TRACKER_DATABASE_URL" -v ON_ERROR_STOP=1 -c "SET tracker.hash_partitions = 16" -f hash-partitions.sql
--
-- This is one transaction, which locks the tables: stop the tracker before. After a later migration, run it again, with
-- the same number, to divide new tables.
DO $$
DECLARE
    partitions integer := current_setting('tracker.hash_partitions');
    whole      record;
    statement  text;
BEGIN
    FOR whole IN
        SELECT pg_class.oid, relname AS name,
               coalesce('WITH (' || array_to_string(reloptions, ', ') || ')', '') AS options,
               -- Objects to which LIKE would give other names: keys first, then the other indexes; and the rights.
               ARRAY(
                   SELECT format('ALTER TABLE tracker.%I ADD CONSTRAINT %I %s', relname, conname, pg_get_constraintdef(oid))
                   FROM pg_constraint WHERE conrelid = pg_class.oid AND contype IN ('p', 'u')
               ) || ARRAY(
                   SELECT pg_get_indexdef(indexrelid)
                   FROM pg_index
                   WHERE indrelid = pg_class.oid
                       AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
               ) || ARRAY(
                   SELECT format('GRANT %s ON tracker.%I TO %s', privilege_type, relname,
                                 CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END)
                   FROM aclexplode(relacl)
               ) || ARRAY(
                   SELECT format('GRANT %s (%I) ON tracker.%I TO %s', privilege_type, attname, relname,
                                 CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END)
                   FROM pg_attribute, aclexplode(attacl)
                   WHERE attrelid = pg_class.oid
               ) AS statements,
               -- Partitions do not inherit these from the whole table: the statistics that the planner is told.
               ARRAY(
                   SELECT format('ALTER %I SET (%s)', attname, array_to_string(attoptions, ', '))
                   FROM pg_attribute WHERE attrelid = pg_class.oid AND attoptions IS NOT NULL
               ) AS beliefs
        FROM pg_class
        JOIN pg_attribute ON attrelid = pg_class.oid AND attname = 'tenant_key'
        WHERE relnamespace = 'tracker'::regnamespace AND relkind = 'r' AND NOT relispartition AND relname <> 'tenant'
        ORDER BY relname
    LOOP
        EXECUTE format('ALTER TABLE tracker.%I RENAME TO whole', whole.name);
        EXECUTE format(
            'CREATE TABLE tracker.%I (LIKE tracker.whole INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)'
            ' PARTITION BY HASH (tenant_key)',
            whole.name
        );
        FOR remainder IN 0 .. partitions - 1 LOOP
            EXECUTE format(
                'CREATE TABLE tracker.%I PARTITION OF tracker.%I FOR VALUES WITH (MODULUS %s, REMAINDER %s) %s',
                whole.name || '_' || remainder, whole.name, partitions, remainder, whole.options
            );
            IF cardinality(whole.beliefs) > 0 THEN
                EXECUTE format(
                    'ALTER TABLE tracker.%I %s', whole.name || '_' || remainder, array_to_string(whole.beliefs, ', ')
                );
            END IF;
        END LOOP;
        EXECUTE format('INSERT INTO tracker.%I SELECT * FROM tracker.whole', whole.name);
        DROP TABLE tracker.whole;
        FOREACH statement IN ARRAY whole.statements LOOP
            EXECUTE statement;
        END LOOP;
    END LOOP;
END
$$;
