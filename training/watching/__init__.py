"""While a round runs and after it: progress, curves, figures in words."""
