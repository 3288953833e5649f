"""Images with the tools of languages from Debian's packages, each cached once for its suite.

All lie on top of what aptkeep depends on and below any package that is tested, so a new `.deb` is
one more thin layer. Heavy tools are on one suite each, so that neither suite waits for all.
"""

from __future__ import annotations

from pathlib import Path

from testbed import images
from testbed.images import Image

CRAN = "/usr/src/cran"
"""In `r`: a repository for `install.packages` made of what Debian builds R's packages from."""

# r-cran-r6 is plain R, r-cran-glue has C in it, and r-cran-biocmanager installs by itself.
_R_SOURCES = ("r-cran-r6", "r-cran-glue", "r-cran-biocmanager")
_R_REPOSITORY = f"""
sed 's/^Types: deb$/Types: deb-src/' /etc/apt/sources.list.d/debian.sources \
    > /etc/apt/sources.list.d/source.sources
apt-get update -q
mkdir -p {CRAN}/src/contrib
cd {CRAN}/src/contrib
apt-get source -q --download-only --tar-only {" ".join(_R_SOURCES)}
for archive in *.orig.tar.*; do
    # In a repository a file is called NAME_VERSION.tar.gz, by its DESCRIPTION.
    field() {{ tar -xOf $archive --wildcards '*/DESCRIPTION' | sed -n "s/^$1: //p"; }}
    case $archive in
    *.xz) xz -cd $archive | gzip ;;
    *) cat $archive ;;
    esac > $(field Package)_$(field Version).tar.gz
    rm $archive
done
Rscript -e 'tools::write_PACKAGES(type = "source")'
rm -rf /etc/apt/sources.list.d/source.sources /var/lib/apt/lists/*
"""

_DEBIAN = "/etc/apt/sources.list.d/debian.sources"


def python(suite: str) -> Image:
    """pip, venv and pipx."""
    return _with(suite, "python", "pipx", "python3-pip", "python3-venv")


def ruby(suite: str) -> Image:
    """gem."""
    return _with(suite, "ruby", "ruby")


def node() -> Image:
    """npm, on bookworm."""
    return _with("bookworm", "node", "npm")


def go() -> Image:
    """go, on bookworm."""
    return _with("bookworm", "go", "golang-go")


def rust() -> Image:
    """cargo, on trixie."""
    return _with("trixie", "rust", "cargo")


def shells() -> Image:
    """fish and zsh beside bash and dash, and what makes and runs a ./configure, on trixie."""
    return _with("trixie", "shells", "autoconf", "fish", "make", "zsh")


def r() -> Image:
    """R with what compiles C, on trixie, and the repository `CRAN`."""
    tools = _with("trixie", "r", "gcc", "libc6-dev", "make", "r-base-core", "xz-utils")
    return images.extend(tools, "cran", [["sh", "-ec", _R_REPOSITORY]])


def julia() -> Image:
    """Julia 1.5 on bookworm: bullseye was the last suite to have it, and its libraries fit in.

    With wget, without which this Julia's Pkg does nothing.
    """
    script = (
        f"sed 's/^Suites: .*/Suites: bullseye/' {_DEBIAN} > {_DEBIAN}.sources; "
        "apt-get update -q; apt-get install -qy --no-install-recommends julia wget; "
        f"rm -rf {_DEBIAN}.sources /var/lib/apt/lists/* /var/cache/apt/archives/*"
    )
    return images.extend(images.with_dependencies("bookworm"), "julia", [["sh", "-ec", script]])


def with_packages(image: Image, *debs: Path) -> Image:
    """The image with these `.deb` files installed by dpkg: their dependencies are there."""
    at = {f"/root/{deb.name}": deb for deb in debs}
    return images.extend(
        image,
        # The name that tells `images.prune` that it lasts as long as the `.deb` does.
        "aptkeep-languages",
        [["dpkg", "-i", *at], ["rm", *at]],
        files={path: deb.read_bytes() for path, deb in at.items()},
    )


def _with(suite: str, name: str, *packages: str) -> Image:
    return images.extend(images.with_dependencies(suite), name, packages=packages)
