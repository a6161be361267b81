"""Prompts, imports, models and sampling runs for programs."""
