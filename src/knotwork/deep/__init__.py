"""Deep stacked networks: how they are trained, and what their stacks cost."""
