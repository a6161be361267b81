"""The pages on agreement and on each annotator. What is computed for them is in figures/."""
