"""The parent of all processes of ``tracker run``: it starts, watches, restarts and stops them.

It handles no message, so that no message can bring it down. Each child is a spawned process, never a fork,
because librdkafka has threads. The two ends of the pipe between them are `tracker.lifeline` in the child and
`children` here.

`supervisor` is the loop, `children` a child as seen from here, `child_main` what runs first in the child,
`slots` the claim on the member IDs, `health` and `http` what others may ask, `totals` the metrics of all.
"""
