"""Annotators that are programs: they see the site's pages, as people do."""
