"""Loading: the bytes that were verified are the bytes that are handed out."""
