"""`python3 -m aptkeep`."""

from aptkeep.cli import main

main()
