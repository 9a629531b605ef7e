-- Notes that a migration was applied.
INSERT INTO tracker.schema_migration (version, name, checksum)
VALUES (%(version)s, %(name)s, %(checksum)s)
