"""Certificates: signers for whom an authority vouches, and the chains that lead to it."""
