-- For the rest of this transaction, do not compile plans. The planner cannot know how few rows a list needs, and a
-- compilation takes half a second.
SET LOCAL jit = off
