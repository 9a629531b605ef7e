"""The core: what a batch's reports make of the jobs' stored state.

Pure: no I/O, no clock, no randomness. `state` is what is stored of a job, as far as a batch touches it;
`job_fold` folds a batch's reports into it; `decide` says what becomes of the records. All arithmetic is on
whole numbers, so that the final state is the same for any order, repetition and batching of the reports.
"""
