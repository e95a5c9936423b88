"""The bytes of a signature: bundle, envelope, statement and manifest, read strictly."""
