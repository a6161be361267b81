"""What models and people wrote, as HTML that may stand in our pages."""
