"""Rounds for programs, as JSON: what the pages do, with the same actions and the same words."""
