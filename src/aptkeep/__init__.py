"""aptkeep makes what people install with plain apt survive on machines that keep only the home."""

__version__ = "0.1.0"
