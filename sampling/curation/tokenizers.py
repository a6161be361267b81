"""Where the tokenizer of a registered model lies."""


def registered_directory(name: str) -> str:
    """The location of a model version; raises LookupError, in words, where no model has this name."""
    from sampling.models import ModelVersion  # only where a model is named: the filters themselves know no rows

    location = ModelVersion.objects.filter(name=name).values_list("location", flat=True).first()
    if location is None:
        raise LookupError(f'No model "{name}" is registered. Choose another tokenizer.')
    return location
