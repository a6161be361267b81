"""The layouts of an export: whose columns its rows have. One module each; LAYOUTS is in the order of the form."""

from annotation.datasets.layouts import (
    arena,
    helpsteer3,
    openai_preference,
    rankings,
    sft,
    trl_preference,
    trl_unpaired,
    ultrafeedback_binarized,
)
from annotation.datasets.layouts.layout import MEANINGS, FileType, Layout, View

LAYOUTS: dict[str, Layout] = {
    module.LAYOUT.key: module.LAYOUT
    for module in (
        trl_preference,
        trl_unpaired,
        sft,
        rankings,
        openai_preference,
        helpsteer3,
        ultrafeedback_binarized,
        arena,
    )
}
DEFAULT = trl_preference.LAYOUT.key


def meanings_of(view: View) -> list[tuple[str, str]]:
    """(columns, meaning) of each column that this view's rows have, the layout's own first."""
    layout = LAYOUTS[view.layout]
    features = layout.features(view)
    own = " ".join(layout.meanings)
    shared = {names: meaning for names, meaning in MEANINGS.items() if names not in own}
    return [
        (names, meaning) for names, meaning in (layout.meanings | shared).items() if names.split("`")[1] in features
    ]


__all__ = ["DEFAULT", "LAYOUTS", "FileType", "Layout", "View", "meanings_of"]
