# shellcheck shell=bash
# System-wide .bashrc file for interactive bash(1) shells, as aptkeep-home has it.
#
# bash's own file is /etc/bash.bashrc.distrib while aptkeep-home is installed, and is back at its
# place when it's removed: what is to outlive that belongs there.
if [ -r /etc/bash.bashrc.distrib ]; then
    # shellcheck source=/dev/null
    . /etc/bash.bashrc.distrib
fi
if [ -r /usr/share/aptkeep-home/environment.sh ]; then
    # shellcheck source=/dev/null
    . /usr/share/aptkeep-home/environment.sh
fi
