"""The parent of all processes of ``tracker run``: starts them, watches them, restarts them, stops them.

It works on no message, so that nothing a message can do brings it down. Each child is a freshly spawned
process, never a fork: librdkafka has threads. The two ends of the pipe between them are `tracker.lifeline`
in the child and `children` here.

`supervisor` is the loop; `children` a child, as seen from here; `child_main` what runs in the child first;
`slots` the claim on the member IDs; `health` and `http` what others may ask; `totals` the metrics of all.
"""
