"""The files of a model: names, folders and links, listed without being led astray."""
