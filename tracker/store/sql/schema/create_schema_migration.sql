-- Create the schema, and the table of the migrations that were applied to it. Two statements, without parameters.
CREATE SCHEMA IF NOT EXISTS tracker;
CREATE TABLE IF NOT EXISTS tracker.schema_migration (
    version      integer PRIMARY KEY,
    name         text NOT NULL,
    checksum     text NOT NULL,
    applied_time timestamptz NOT NULL DEFAULT now()
);
