-- Let each statement of this session take its time, whatever the session's settings are. Two statements.
SET statement_timeout = 0;
SET lock_timeout = 0
