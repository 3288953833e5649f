"""conda's file, by what conda documents: no conda can be had where these tests run.

https://docs.conda.io/projects/conda/en/stable/user-guide/configuration/use-condarc.html: a file in
/etc/conda/condarc.d is read if its name ends in .yml or .yaml, before those of the base environment
and of the user.  Lists are joined, those of later files first, unless an entry says `#!top` or a
list `#!final`.  (conda's own `Context`, given this file and a user's, said the same by hand.)
"""

from __future__ import annotations

import re

from testbed import source

AT = "/etc/conda/condarc.d/aptkeep-home.yml"


def test_it_names_the_home_and_takes_no_precedence() -> None:
    lines = (source.top() / f"hooks/home{AT}").read_text().splitlines()
    settings = [line for line in lines if not line.startswith("#")]
    # One list of one entry each: nothing here that YAML could read otherwise.
    assert settings == [
        *("envs_dirs:", "  - ~/.conda/envs"),
        *("pkgs_dirs:", "  - ~/.conda/pkgs"),
    ]
    assert not re.search("#!", "\n".join(lines))
