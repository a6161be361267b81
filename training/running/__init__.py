"""What a worker does with a round: its plan, its data, its execution."""
