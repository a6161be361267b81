"""What stands in addresses and forms that people may write as they like."""


def number_in(text: str | None) -> int | None:
    """A positive number, None for anything else and for what no row can have: Python refuses to read thousands of
    digits, and the database what is beyond its 64 bits."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 18 else None
