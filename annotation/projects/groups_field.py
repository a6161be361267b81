"""A form's field for groups of comparisons: names with commas between them."""

from django import forms

LONGEST = 40  # the column's


class GroupsField(forms.CharField):
    """``"german, law"`` becomes ``["german", "law"]``."""

    def __init__(self, **kwargs) -> None:
        super().__init__(required=False, max_length=400, **kwargs)

    def prepare_value(self, value):
        return ", ".join(value) if isinstance(value, list | tuple) else value

    def clean(self, value) -> list[str]:
        names = sorted({name.strip() for name in super().clean(value).split(",") if name.strip()})
        if too_long := [name for name in names if len(name) > LONGEST]:
            raise forms.ValidationError(f'"{too_long[0]}" has {len(too_long[0])} letters; use at most {LONGEST}.')
        return names
