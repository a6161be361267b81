"""Rules that need no rows: rankings, marks, pairs, agreement between two answers. Pure: no database, no request."""
