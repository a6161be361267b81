"""Which comparison comes next, and for whom."""
