"""How static files are served: compressed, and under names that change with their content."""

from whitenoise.storage import CompressedManifestStaticFilesStorage

# In our own scripts only: Django's rule for every script also reads the comments of other people's.
OUR_IMPORTS = ("js/*.js", ((r"""(?P<matched>from "(?P<url>\./[^"]+)")""", 'from "%(url)s"'),))


class StaticFiles(CompressedManifestStaticFilesStorage):
    """A module's imports get the new names too; else a browser could run old parts of a script with new ones."""

    patterns = (*CompressedManifestStaticFilesStorage.patterns, OUR_IMPORTS)
