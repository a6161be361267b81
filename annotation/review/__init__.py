"""The pages of a reviewer: comparisons, decisions, flags, skips, known answers."""
