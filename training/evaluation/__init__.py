"""Whether the new policy is better, and may be published."""
