"""What apt can get on a root, and which of what is wanted goes together: libapt decides, for real.

The root is a directory with dpkg's status and apt's lists written by hand; nothing is run.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aptkeep.errors import CommandError
from aptkeep.machine.apt import config
from aptkeep.machine.apt.archive import (
    Archive,
    Solution,
    Wanted,
    newer,
    sources_in_use,
    unreadable_sources,
)
from unit.machine.apt.apt_root import DEB, AptRoot, Offer


def solve(archive: Archive, *wanted: str) -> Solution:
    """Solve for `vim=1` (install), `-vim` (remove) and `--vim` (purge)."""
    items = []
    for word in wanted:
        if word.startswith("-"):
            items.append(Wanted(word.lstrip("-"), None, word.startswith("--")))
        else:
            name, _, version = word.partition("=")
            items.append(Wanted(name, version or "1"))
    return archive.solve(items)


# -- what is offered


def test_what_is_offered_the_candidate_first(apt: AptRoot) -> None:
    archive = apt.open(
        [Offer("vim"), Offer("local")],
        [
            Offer("vim", "2"),
            Offer("vim", "1"),
            Offer("vim", "3"),
            Offer("lib", architecture="i386"),
        ],
    )
    assert archive.offered(["vim", "local", "lib", "lib:i386", "nothing"]) == {
        "vim": ("3", "2", "1"),
        "local": (),
        "lib:i386": ("1",),
    } | ({"lib": ()} if "lib" in archive.offered(["lib"]) else {})


def test_the_candidate_is_as_the_users_pins_make_it(apt: AptRoot) -> None:
    archive = apt.open(
        [],
        [Offer("vim", v) for v in "123"],
        pins="Package: vim\nPin: version 2\nPin-Priority: 900\n",
    )
    assert archive.offered(["vim"])["vim"][0] == "2"


def test_what_a_pin_forbids_is_not_offered(apt: AptRoot) -> None:
    archive = apt.open(
        [],
        [Offer("vim"), Offer("vim", "2"), Offer("nano")],
        pins=(
            "Package: vim\nPin: version 2\nPin-Priority: -1\n\n"
            "Package: nano\nPin: version *\nPin-Priority: -1\n"
        ),
    )
    assert archive.offered(["vim", "nano"]) == {"vim": ("1",), "nano": ()}
    assert archive.forbidden("nano")
    assert archive.forbidden("vim", only="2")
    assert not archive.forbidden("vim")
    assert not archive.forbidden("nothing")


def test_how_the_lists_describe_a_version(apt: AptRoot) -> None:
    """The name is the one under which apt caches the archive."""
    archive = apt.open(
        [Offer("here", "1")],
        [Offer("vim", "1:2_3"), Offer("vim", "1"), Offer("lib", architecture="i386")],
    )
    listing = archive.listing("vim", "1:2_3")
    assert listing is not None
    assert listing.filename == "vim_1%3a2%5f3_amd64.deb"
    assert listing.sha256 == hashlib.sha256(DEB).hexdigest()
    assert "Version: 1:2_3\n" in listing.paragraph
    foreign = archive.listing("lib:i386", "1")
    assert foreign is not None
    assert foreign.filename == "lib_1_i386.deb"
    for name, version in (("vim", "2"), ("here", "1"), ("nothing", "1"), ("lib", "1")):
        assert archive.listing(name, version) is None


def test_every_hash_that_the_lists_give_is_known(apt: AptRoot) -> None:
    """Two archives may offer the same version with other content; what is installed says none."""
    archive = apt.open(
        [Offer("vim"), Offer("here")],
        [
            Offer("vim"),
            Offer("vim", content=b"another"),
            Offer("vim", "2", content=b"newer"),
            Offer("docs", architecture="all"),
            Offer("lib", architecture="i386"),
        ],
    )
    hashes = {content: hashlib.sha256(content).hexdigest() for content in (DEB, b"another")}
    assert archive.listed(("vim", "1", "amd64")) == set(hashes.values())
    assert archive.listed(("docs", "1", "all")) == {hashes[DEB]}
    assert archive.listed(("lib", "1", "i386")) == {hashes[DEB]}
    for key in (
        ("vim", "3", "amd64"),
        ("vim", "1", "all"),
        ("docs", "1", "amd64"),
        ("lib", "1", "amd64"),
        ("here", "1", "amd64"),
        ("nothing", "1", "amd64"),
    ):
        assert archive.listed(key) == frozenset(), key


def test_other_sources_hold_until_the_next_archive_is_opened(apt: AptRoot) -> None:
    apt.open([], [Offer("vim")])
    apt.write("other/lists/repo_._Packages", Offer("nano").offered())
    other = {"Dir::State::lists": str(apt.path / "other/lists/")}
    (apt.path / "other/lists/partial").mkdir()
    names = ["vim", "nano"]
    assert set(apt.reopen(other).offered(names)) == {"nano"}
    assert set(apt.reopen().offered(names)) == {"vim"}


def test_the_sources_in_use_are_those_that_apt_would_ask(apt: AptRoot) -> None:
    apt.open([], [])
    apt.write("etc/apt/sources.list.d/x.list", "deb http://h sid main\n# deb http://h old main\n")
    found = {(uri.rstrip("/"), suite.strip("/.")) for uri, suite in sources_in_use({})}
    assert found == {("http://repo", ""), ("http://h", "sid")}
    assert (
        sources_in_use({"Dir::Etc::SourceList": "/dev/null", "Dir::Etc::SourceParts": "/dev/null"})
        == set()
    )
    assert len(sources_in_use({})) == 2
    apt.write("etc/apt/sources.list.d/bad.list", "deb nonsense\n")
    assert sources_in_use({}) == set()


def test_what_apt_would_upgrade(apt: AptRoot) -> None:
    archive = apt.open(
        [Offer("old"), Offer("same"), Offer("local"), Offer("ahead", "3")],
        [Offer("old", "2"), Offer("same"), Offer("ahead", "2"), Offer("new")],
    )
    assert archive.upgradable() == {"old": "1"}


def test_paragraphs_are_the_repositorys(apt: AptRoot) -> None:
    archive = apt.open([Offer("vim", "2")], [Offer("vim", "1", depends="libc"), Offer("g++")])
    text = archive.paragraphs({"vim": "1", "g++": "1", "nothing": "1", "vim:i386": "1"})
    first, second = text.strip().split("\n\n")
    assert "Package: vim" in first
    assert "Version: 1\n" in first
    assert "Depends: libc" in first
    assert "Package: g++" in second
    assert archive.paragraphs({}) == ""


@pytest.mark.parametrize(
    ("one", "other", "later"),
    [
        ("2", "1", True),
        ("1", "1", False),
        ("1.10", "1.9", True),
        ("1~rc1", "1", False),
        ("1:0", "9", True),
        ("1+b1", "1", True),
    ],
)
def test_versions_are_compared_as_dpkg_does(
    isolated: None, one: str, other: str, *, later: bool
) -> None:
    config.load()
    assert newer(one, other) is later


def test_what_apt_only_warns_of_is_no_python_warning(apt: AptRoot) -> None:
    """As python-apt has it on Debian 13; a person would read it as a fault of ours."""
    apt.write("etc/apt/sources.list.d/twice.list", "deb [trusted=yes] http://repo ./\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert apt.open([], [Offer("vim")]).offered(["vim"]) == {"vim": ("1",)}


# -- what goes together


def test_everything_that_is_wanted_comes(apt: AptRoot) -> None:
    archive = apt.open(
        [Offer("base")], [Offer("vim"), Offer("nano", "2"), Offer("lib", architecture="i386")]
    )
    assert solve(archive, "vim", "nano=2", "lib:i386", "-base") == Solution(
        {"vim": "1", "nano": "2", "lib:i386": "1"},
        {"base": False},
        {"vim": "amd64", "nano": "amd64", "lib:i386": "i386", "base": "amd64"},
    )


def test_dpkgs_architecture_of_a_package_for_all(apt: AptRoot) -> None:
    archive = apt.open([], [Offer("cowsay", architecture="all")])
    assert solve(archive, "cowsay").architectures == {"cowsay": "all"}


def test_a_dependency_that_nobody_recorded_comes_along(apt: AptRoot) -> None:
    archive = apt.open([], [Offer("vim", depends="lib"), Offer("lib", "7"), Offer("lib", "6")])
    solution = solve(archive, "vim")
    assert solution.installs == {"vim": "1"}
    assert solution.extra == {"lib": "7"}
    assert solution.changes == {"vim", "lib"}


def test_a_dependency_that_is_recorded_comes_at_its_version(apt: AptRoot) -> None:
    archive = apt.open([], [Offer("vim", depends="lib"), Offer("lib", "7"), Offer("lib", "6")])
    solution = solve(archive, "vim", "lib=6")
    assert solution.installs == {"vim": "1", "lib": "6"}
    assert solution.extra == {}


def test_recommends_are_left_out_unless_they_are_wanted(apt: AptRoot) -> None:
    offers = [Offer("vim", recommends="docs"), Offer("docs")]
    assert solve(apt.open([], offers), "vim").extra == {}
    assert solve(apt.open([], offers, recommends=True), "vim").extra == {"docs": "1"}


def test_nothing_else_is_upgraded(apt: AptRoot) -> None:
    archive = apt.open(
        [Offer("lib"), Offer("other")],
        [Offer("vim", depends="lib"), Offer("lib", "2"), Offer("other", "2")],
    )
    assert solve(archive, "vim") == Solution({"vim": "1"}, {}, {"vim": "amd64"})


def test_an_upgrade_that_a_wanted_package_forces_is_made(apt: AptRoot) -> None:
    archive = apt.open([Offer("lib")], [Offer("vim", depends="lib (>= 2)"), Offer("lib", "2")])
    assert solve(archive, "vim").extra == {"lib": "2"}


def test_a_downgrade_that_is_wanted_is_made(apt: AptRoot) -> None:
    archive = apt.open([Offer("vim", "3")], [Offer("vim", "2"), Offer("vim", "3")])
    assert solve(archive, "vim=2").installs == {"vim": "2"}


def test_what_is_here_already_needs_nothing(apt: AptRoot) -> None:
    archive = apt.open([Offer("vim")], [Offer("vim"), Offer("vim", "2")])
    solution = solve(archive, "vim=1")
    assert solution.installs == {"vim": "1"}
    assert solution.rejected == {}


# -- what doesn't go together


def test_one_bad_package_costs_no_other(apt: AptRoot) -> None:
    good = [Offer(f"good{n}") for n in range(9)]
    archive = apt.open([], [*good[:4], Offer("bad", depends="nowhere (>= 7)"), *good[4:]])
    solution = solve(archive, "good0", "good1", "bad", *(f"good{n}" for n in range(2, 9)))
    assert set(solution.installs) == {offer.name for offer in good}
    assert set(solution.rejected) == {"bad"}
    assert "nowhere (>= 7)" in solution.rejected["bad"]


def test_a_package_that_is_not_there_is_rejected(apt: AptRoot) -> None:
    solution = solve(apt.open([], [Offer("vim")]), "vim", "nothing", "wine:i386")
    assert solution.installs == {"vim": "1"}
    assert set(solution.rejected) == {"nothing", "wine:i386"}
    assert all(solution.rejected.values())


def test_nothing_on_the_root_is_removed_for_what_is_wanted(apt: AptRoot) -> None:
    archive = apt.open(
        [Offer("exim"), Offer("mail", depends="exim")],
        [Offer("postfix", conflicts="exim"), Offer("vim")],
    )
    solution = solve(archive, "postfix", "vim")
    assert solution.installs == {"vim": "1"}
    assert solution.removals == {}
    assert "exim 1" in solution.rejected["postfix"]


def test_what_conflicts_comes_where_the_other_is_to_be_removed(apt: AptRoot) -> None:
    archive = apt.open([Offer("exim")], [Offer("postfix", conflicts="exim")])
    solution = solve(archive, "--exim", "postfix")
    assert solution.installs == {"postfix": "1"}
    assert solution.removals == {"exim": True}
    assert solution.rejected == {}


def test_a_package_of_the_image_is_replaced_though_another_is_bad(apt: AptRoot) -> None:
    """Neither step goes without the other: `mailutils` needs one of the two."""
    archive = apt.open(
        [
            Offer("exim", provides="mail-transport-agent"),
            Offer("mailutils", depends="mail-transport-agent"),
        ],
        [Offer("postfix", conflicts="exim", provides="mail-transport-agent"), Offer("vim")],
    )
    together = solve(archive, "--exim", "postfix", "vim")
    assert together.rejected == {}
    solution = solve(archive, "--exim", "nothing", "postfix", "vim")
    assert solution.removals == {"exim": True}
    assert solution.installs == {"postfix": "1", "vim": "1"}
    assert set(solution.rejected) == {"nothing"}


@pytest.mark.parametrize("order", [["-exim", "postfix"], ["postfix", "-exim"]])
def test_the_order_of_a_removal_and_what_needs_it_does_not_matter(
    apt: AptRoot, order: list[str]
) -> None:
    """A third, bad package has the set halved."""
    archive = apt.open([Offer("exim")], [Offer("postfix", conflicts="exim")])
    solution = solve(archive, *order, "nothing")
    assert solution.removals == {"exim": False}
    assert solution.installs == {"postfix": "1"}
    assert set(solution.rejected) == {"nothing"}


def test_of_two_that_conflict_one_comes(apt: AptRoot) -> None:
    archive = apt.open([], [Offer("exim"), Offer("postfix", conflicts="exim"), Offer("vim")])
    solution = solve(archive, "exim", "postfix", "vim")
    assert set(solution.installs) == {"exim", "vim"}
    assert "exim 1" in solution.rejected["postfix"]


def test_what_something_else_needs_is_not_removed(apt: AptRoot) -> None:
    archive = apt.open([Offer("lib"), Offer("vim", depends="lib"), Offer("nano")], [])
    solution = solve(archive, "-lib", "-nano")
    assert solution.removals == {"nano": False}
    assert "vim" in solution.rejected["lib"]


def test_what_is_removed_with_all_that_needs_it(apt: AptRoot) -> None:
    archive = apt.open([Offer("lib"), Offer("vim", depends="lib")], [])
    assert solve(archive, "-lib", "-vim").removals == {"lib": False, "vim": False}


def test_a_version_that_does_not_fit_gives_way_to_the_candidate(apt: AptRoot) -> None:
    archive = apt.open(
        [Offer("lib", "2")],
        [Offer("vim", "1", depends="lib (= 1)"), Offer("vim", "2", depends="lib (= 2)")],
    )
    solution = solve(archive, "vim=1")
    assert solution.installs == {"vim": "2"}
    assert solution.rejected == {}


def test_a_hold_is_not_broken(apt: AptRoot) -> None:
    archive = apt.open(
        [Offer("lib", selection="hold")],
        [Offer("vim", depends="lib (>= 2)"), Offer("lib", "2"), Offer("nano")],
    )
    solution = solve(archive, "vim", "nano")
    assert solution.installs == {"nano": "1"}
    assert "lib" not in solution.extra
    assert "lib" in solution.rejected["vim"]


def test_a_virtual_package_is_a_dependency_too(apt: AptRoot) -> None:
    archive = apt.open(
        [Offer("exim", provides="mail-transport-agent")],
        [Offer("mutt", depends="mail-transport-agent")],
    )
    assert solve(archive, "mutt") == Solution({"mutt": "1"}, {}, {"mutt": "amd64"})


def test_nothing_is_wanted(apt: AptRoot) -> None:
    assert solve(apt.open([Offer("vim")], [Offer("vim", "2")])) == Solution()


_NAMES = "abcdefgh"


@given(
    depends=st.fixed_dictionaries(
        {name: st.sets(st.sampled_from(_NAMES + "x"), max_size=2) for name in _NAMES}
    ),
    here=st.sets(st.sampled_from(_NAMES)),
    wanted=st.lists(st.sampled_from(_NAMES), unique=True),
)
@settings(max_examples=40)
def test_all_comes_whose_dependencies_can_and_nothing_else(
    isolated: None,
    tmp_path_factory: pytest.TempPathFactory,
    depends: dict[str, set[str]],
    here: set[str],
    wanted: list[str],
) -> None:
    """Where nothing conflicts, what can come is easily told: `x` is nowhere, all else is."""
    apt = AptRoot(tmp_path_factory.mktemp("root"))
    obtainable = _closed(set(_NAMES), depends)
    here = _closed(here, depends)
    offers = [Offer(n, depends=", ".join(sorted(depends[n]))) for n in _NAMES]
    archive = apt.open([offer for offer in offers if offer.name in here], offers)
    solution = archive.solve([Wanted(name, "1") for name in wanted])
    assert set(solution.installs) == set(wanted) & obtainable
    assert set(solution.rejected) == set(wanted) - obtainable
    needed = _needed(set(solution.installs), depends)
    assert set(solution.extra) == needed - set(wanted) - here
    assert solution.removals == {}


def _closed(names: set[str], depends: dict[str, set[str]]) -> set[str]:
    """Those of `names` whose dependencies are all among them, again and again."""
    while True:
        left = {name for name in names if depends[name] <= names}
        if left == names:
            return left
        names = left


def _needed(names: set[str], depends: dict[str, set[str]]) -> set[str]:
    """`names` and all that they depend on."""
    while True:
        more = names.union(*(depends[name] for name in names))
        if more == names:
            return more
        names = more


# -- configuration that apt can't read


@pytest.mark.parametrize(
    "damage",
    [
        lambda apt: apt.write("etc/apt/sources.list.d/bad.list", "deb nonsense\n"),
        lambda apt: apt.write(
            "etc/apt/sources.list.d/two.list", "deb [signed-by=/x.gpg] http://repo ./\n"
        ),
        lambda apt: apt.write("etc/apt/sources.list.d/bad.sources", "Types: deb\nURIs: http://h\n"),
    ],
)
def test_sources_that_apt_can_not_read_are_named(
    apt: AptRoot, damage: Callable[[AptRoot], None]
) -> None:
    apt.open([], [])
    assert unreadable_sources() is None
    damage(apt)
    assert unreadable_sources() is not None
    with pytest.raises(CommandError) as caught:
        Archive("amd64")
    assert caught.value.resolution


def test_pins_that_apt_can_not_read_are_named(apt: AptRoot) -> None:
    with pytest.raises(CommandError, match="preferences"):
        apt.open([], [Offer("vim")], pins="nonsense\n")
