"""The remedies: one command each, for those whose home it is and for root."""

from __future__ import annotations

import os
import pwd

_PACKAGE = "aptkeep-home"
_PACKAGE_LIST = f"/var/lib/dpkg/info/{_PACKAGE}.list"


def command(own: str) -> str:
    """The tool's own command and, as a comment, the package that does it for everybody."""
    if os.path.exists(_PACKAGE_LIST):  # then it's there, and something overrides it
        return own
    return f"{own}  # or, for everybody: the package {_PACKAGE}"


def export(setting: str, shell: str) -> str:
    """A variable for every terminal to come; it wins over what the image sets."""
    name = os.path.basename(shell)
    if name == "fish":
        return f"set -Ux {setting.replace('=', ' ', 1)}"
    return f"echo 'export {setting}' >> ~/{'.zprofile' if name == 'zsh' else '.profile'}"


def keep(*paths: str) -> str:
    """What makes places outside the home survive; apt joins lists of several lines."""
    named = " ".join(f'"{path}";' for path in dict.fromkeys(paths))
    return f"echo 'Aptkeep::Keep {{ {named} }};' >> /etc/apt/apt.conf.d/90keep"


def as_owner(home: str) -> str:
    """Whoever isn't the home's owner had better leave it to them."""
    try:
        owner = pwd.getpwuid(os.stat(home).st_uid).pw_name
    except (OSError, KeyError):
        return "install it as the user whose home it is"
    return f"install it as {owner}, without sudo"
