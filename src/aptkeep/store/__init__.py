"""The home: finding it, and the store in it that only root may write."""
