-- Change nothing, and fail where the session may only read: a standby, or a role that was made read-only.
SELECT FROM deployment WHERE false FOR UPDATE
