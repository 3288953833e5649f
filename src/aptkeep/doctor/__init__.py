"""What on this machine would not survive its stop: `aptkeep doctor`. Nothing here changes it."""
