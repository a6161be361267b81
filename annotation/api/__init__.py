"""Projects, comparisons, judgments and datasets for programs."""
