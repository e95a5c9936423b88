"""Policy layers, as data: what the usual libraries may do, and why."""
