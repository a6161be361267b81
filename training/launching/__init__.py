"""Before a round: what it would cost, what stands in its way, the form that launches it."""
