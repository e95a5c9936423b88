"""OMS v1.0, clause by clause: a suite of our own, with an oracle written from the text alone."""
