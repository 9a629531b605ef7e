-- Works with programs from 0.2.0 on.
--
-- The oldest program that can work with what a migration leaves, as the migration's own first line says. A program
-- that does not know a migration goes by this. Null: no program that does not know it.
ALTER TABLE schema_migration ADD COLUMN oldest_program text;
