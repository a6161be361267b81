"""Filters over prompts: what each removes is seen before anything is removed."""
