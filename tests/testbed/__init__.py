"""A throwaway workstation: a real root from a real image, booted in private namespaces.

Nothing is imported here on purpose: PID 1 of every root (`testbed.holder`) starts through this
package, and every import would be paid for at each boot.

| module | what it holds |
| --- | --- |
| `images` | roots made by mmdebstrap and the layers on top of them, cached |
| `languages` | images with pip, npm, R and the like, for what users install without apt |
| `workstation` | a root that is thrown away at stop, and the home that stays |
| `packages` | tiny `.deb` files built on the spot |
| `deb` | what a `.deb` holds |
| `signing`, `repository` | signed local repositories |
| `snapshots` | a service that still has what a repository had before |
| `place` | where both of them are: served over http, going down and coming up again |
| `source` | aptkeep's own `.deb` files, built from this work tree |
| `scratch` | directories for one run |
| `fixtures` | the same things as pytest fixtures |
| `root`, `holder`, `kernel`, `files` | how a root is booted, entered, read and written |
| `mirror` | what this machine's own apt says about the archive and the proxy |
| `commands` | the only module that starts processes on this machine |
"""
