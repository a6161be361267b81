"""Imports: a source is looked through, brought in, and taken out again."""
