"""Reading what others wrote: sources of rows, formats that give the rows a meaning. No database here."""
