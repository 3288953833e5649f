# shellcheck shell=sh
# What aptkeep-home adds to the environment of a shell: for login shells through
# /etc/profile.d/aptkeep-home.sh, for every interactive bash through /etc/bash.bashrc.
# It starts no process, says nothing, and does nothing for root.  /etc/default/aptkeep-home
# switches its parts off; docs/home.md says more.

# test -O isn't POSIX, but dash, bash, ksh, zsh and busybox have it, and it starts no `id`.
# shellcheck disable=SC3067
if [ -n "${HOME-}" ] && [ ! -O /etc ]; then
    APTKEEP_HOME_PATH=yes
    APTKEEP_HOME_CONFIGURE=yes
    if [ -r /etc/default/aptkeep-home ]; then
        # shellcheck source=/dev/null
        . /etc/default/aptkeep-home
    fi

    # Where pip, npm, gem and `make install`, cargo, and go put programs.  Without a PATH, a shell
    # has one of its own, which ours would only hide.
    if [ "$APTKEEP_HOME_PATH" != no ] && [ -n "${PATH-}" ]; then
        _aptkeep_home_go=${GOPATH:-$HOME/go}
        _aptkeep_home_new=
        for _aptkeep_home_bin in \
            "$HOME/.local/bin" \
            "${CARGO_INSTALL_ROOT:-${CARGO_HOME:-$HOME/.cargo}}/bin" \
            "${GOBIN:-${_aptkeep_home_go%%:*}/bin}"; do
            case ":$PATH:$_aptkeep_home_new" in
                *":$_aptkeep_home_bin:"*) ;;
                *) _aptkeep_home_new=$_aptkeep_home_new$_aptkeep_home_bin: ;;
            esac
        done
        PATH=$_aptkeep_home_new$PATH
        export PATH
        unset _aptkeep_home_go _aptkeep_home_new _aptkeep_home_bin
    fi

    # Set but empty is somebody's own setting, too.
    if [ "$APTKEEP_HOME_CONFIGURE" != no ] && [ -z "${CONFIG_SITE+set}" ]; then
        CONFIG_SITE=/usr/share/aptkeep-home/config.site
        export CONFIG_SITE
    fi

    unset APTKEEP_HOME_PATH APTKEEP_HOME_CONFIGURE APTKEEP_HOME_GEM APTKEEP_HOME_R
fi
