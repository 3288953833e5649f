"""This root: what dpkg and apt have on it, and the commands that change it."""
