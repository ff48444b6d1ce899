"""Deep stacked networks: what their stacks cost."""
