"""The manifest on disk: schema, codec and validation."""
