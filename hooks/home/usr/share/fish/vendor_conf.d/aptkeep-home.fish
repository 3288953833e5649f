# What /usr/share/aptkeep-home/environment.sh adds to other shells' environment.
if set -q HOME; and test -n "$HOME"; and not test -O /etc
    set -l off
    if test -r /etc/default/aptkeep-home
        set off (string replace -rf '^(APTKEEP_HOME_\w+)=no\s*$' '$1' < /etc/default/aptkeep-home)
    end
    if not contains APTKEEP_HOME_PATH $off
        set -l cargo $HOME/.cargo
        set -q CARGO_HOME; and set cargo $CARGO_HOME
        set -q CARGO_INSTALL_ROOT; and set cargo $CARGO_INSTALL_ROOT
        set -l go $HOME/go/bin
        set -q GOPATH; and set go (string split -m 1 : $GOPATH)[1]/bin
        set -q GOBIN; and set go $GOBIN
        set -l new
        for bin in $HOME/.local/bin $cargo/bin $go
            contains $bin $PATH; or set -a new $bin
        end
        set -gx PATH $new $PATH
    end
    if not contains APTKEEP_HOME_CONFIGURE $off; and not set -q CONFIG_SITE
        set -gx CONFIG_SITE /usr/share/aptkeep-home/config.site
    end
end
