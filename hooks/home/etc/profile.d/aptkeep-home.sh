# shellcheck shell=sh
# Login shells; see /usr/share/doc/aptkeep-home/home.md.gz.
if [ -r /usr/share/aptkeep-home/environment.sh ]; then
    # shellcheck source=/dev/null
    . /usr/share/aptkeep-home/environment.sh
fi
