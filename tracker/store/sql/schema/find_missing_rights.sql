-- Return which of these rights on the tracker's tables and sequences the current role lacks, in words.
SELECT wanted.right_name || ' on ' || wanted.name
FROM unnest(%(tables)s::text[], %(rights)s::text[]) WITH ORDINALITY AS wanted (name, right_name, ordinality)
WHERE NOT has_table_privilege('tracker.' || wanted.name, wanted.right_name)
UNION ALL
SELECT 'USAGE on ' || wanted.name
FROM unnest(%(sequences)s::text[]) AS wanted (name)
WHERE NOT has_sequence_privilege('tracker.' || wanted.name, 'USAGE')
