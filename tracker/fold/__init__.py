"""The core: applies a batch's reports to the stored state of jobs.

Pure: no I/O, no clock, no randomness. `state` is what is stored of a job, as far as a batch touches it;
`job_fold` folds a batch's reports into it; `decide` decides what happens to the records; `present_run`
separates the messages of earlier runs. All arithmetic is on whole numbers, so that the final state is the
same for any order, repetition and batching of the reports.
"""
