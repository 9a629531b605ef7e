-- Until the end of the transaction, have the planner reach every row by index, and join tables in the order in which a
-- statement names them: its statistics of tables that were just filled are wrong (see tracker.store.connect,
-- _BY_INDEX).
SELECT set_config(setting.name, setting.value, true)
FROM (VALUES
    ('join_collapse_limit', '1'), ('from_collapse_limit', '1'), ('enable_seqscan', 'off'),
    ('enable_hashjoin', 'off'), ('enable_mergejoin', 'off'), ('enable_material', 'off'),
    ('random_page_cost', '0.01'), ('seq_page_cost', '0.01'), ('cpu_operator_cost', '0.0001'), ('jit', 'off')
) AS setting (name, value)
