"""Frozen snapshots and what is exported of them."""
