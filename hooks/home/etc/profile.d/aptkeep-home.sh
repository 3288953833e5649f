# shellcheck shell=sh
# Login shells; see /usr/share/doc/aptkeep-home/home.md.
if [ -r /usr/share/aptkeep-home/environment.sh ]; then
    # shellcheck source=/dev/null
    . /usr/share/aptkeep-home/environment.sh
fi
