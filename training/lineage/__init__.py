"""From a weight back to each click, and from a click to every weight that learned from it."""
