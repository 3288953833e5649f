"""The one room of apt_pkg: configuration, paragraphs, history, offers and command lines of apt."""
