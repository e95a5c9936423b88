"""Pickle: a lexer, a symbolic machine, and a judge who asks the policy about every effect."""
