"""The peers: other software that consumes, processes and produces exactly once, measured beside the tracker.

Each does less than the tracker: it decodes each message, counts it for its job, and forwards it unchanged.
Their programs are `aiokafka_process`, `quix_streams_process`, and the Java project in ``kafka-streams``. They
run in environments of their own, below ``build/peers``. docs/benchmarks.md has the sources of their settings.
"""
