-- Change nothing, and fail if the session is read-only: on a standby, or with a read-only role.
SELECT FROM deployment WHERE false FOR UPDATE
