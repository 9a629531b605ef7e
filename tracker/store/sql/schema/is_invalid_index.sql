-- Return whether an index exists that is not valid, because building it was interrupted.
SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(%(index)s::text) AND NOT indisvalid)
