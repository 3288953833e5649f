"""One tiny thing to install for each tool of a language, made without that tool or any network."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from typing import Literal

NAME = "tinything"
SAYS = "a tiny thing says hello"


def wheel() -> bytes:
    """For pip and pipx, `tinything-1.0-py3-none-any.whl`: a module and a program."""
    files = {
        f"{NAME}.py": f'def main():\n    print("{SAYS}")\n',
        f"{NAME}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n",
        f"{NAME}-1.0.dist-info/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
        f"{NAME}-1.0.dist-info/entry_points.txt": f"[console_scripts]\n{NAME} = {NAME}:main\n",
    }
    record = f"{NAME}-1.0.dist-info/RECORD"
    files[record] = "".join(f"{path},,\n" for path in (*files, record))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return made.getvalue()


def npm_package() -> bytes:
    """For npm, `tinything-1.0.0.tgz`: a program."""
    manifest = {"name": NAME, "version": "1.0.0", "bin": {NAME: "main.js"}}
    return tarball(
        {
            "package/package.json": json.dumps(manifest),
            "package/main.js": f'#!/usr/bin/env node\nconsole.log("{SAYS}")\n',
        }
    )


def crate() -> Mapping[str, str]:
    """For `cargo install --path`: the files of a directory."""
    return {
        "Cargo.toml": f'[package]\nname = "{NAME}"\nversion = "1.0.0"\nedition = "2021"\n',
        "src/main.rs": f'fn main() {{ println!("{SAYS}"); }}\n',
    }


def go_module() -> Mapping[str, str]:
    """For `go install .`: the files of a directory."""
    return {
        "go.mod": f"module example.org/{NAME}\n",
        "main.go": f'package main\n\nfunc main() {{ print("{SAYS}\\n") }}\n',
    }


def gem() -> Mapping[str, str]:
    """For `gem build` and `gem install`: the files of a directory."""
    return {
        f"{NAME}.gemspec": (
            f"Gem::Specification.new do |s|\n  s.name = '{NAME}'\n  s.version = '1.0'\n"
            f"  s.summary = s.author = 'tiny'\n  s.files = ['lib/{NAME}.rb', 'bin/{NAME}']\n"
            f"  s.bindir = 'bin'\n  s.executables = ['{NAME}']\nend\n"
        ),
        f"lib/{NAME}.rb": "",
        f"bin/{NAME}": f"#!/usr/bin/env ruby\nputs '{SAYS}'\n",
    }


def autoconf_source() -> Mapping[str, str]:
    """For `autoconf`, `./configure` and `make install`: the files of a directory."""
    return {
        "configure.ac": f"AC_INIT({NAME}, 1.0)\nAC_CONFIG_FILES([Makefile])\nAC_OUTPUT\n",
        "Makefile.in": (
            "prefix = @prefix@\nexec_prefix = @exec_prefix@\nall:\ninstall:\n"
            f"\tmkdir -p @bindir@\n\tcp {NAME} @bindir@/{NAME}\n"
        ),
        NAME: f"#!/bin/sh\necho {SAYS}\n",
        "install-sh": "",
    }


def tarball(files: Mapping[str, str], mode: Literal["w:gz", "w:bz2"] = "w:gz") -> bytes:
    """A compressed tar archive of text files, all executable."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content.encode()), 0o755
            archive.addfile(entry, io.BytesIO(content.encode()))
    return made.getvalue()
