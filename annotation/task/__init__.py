"""The pages of an annotator: the one that they rank on, and those beside it."""
