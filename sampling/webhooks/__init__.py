"""Tells other programs what happened: an outbox, signed and retried."""
