"""What apt says, read: on samples of real output, see `samples`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aptkeep.machine.apt import output
from aptkeep.machine.apt.output import FailedRepository, StatusLine
from unit.machine.apt.samples import RELEASES, names, sample

GOOD, BAD = "http://127.0.0.1:8001 stable", "http://127.0.0.1:8002 stable"

releases = pytest.mark.parametrize("release", RELEASES)


def failures(release: str, name: str) -> dict[str, str]:
    """The repositories that failed in a sample: name to reason."""
    return {f.name: f.reason for f in output.failed_repositories(sample(release, name))}


# -- apt-get update


@releases
def test_nothing_failed(release: str) -> None:
    assert failures(release, "update-ok") == {}


@releases
@pytest.mark.parametrize(
    ("name", "repository", "words"),
    [
        ("update-refused", BAD, ["Could not connect", "Connection refused"]),
        ("update-unresolvable", "http://nowhere.invalid/debian trixie", ["Could not resolve"]),
        ("update-404", BAD, ["does not have a Release file"]),
        ("update-503", BAD, ["503"]),
        ("update-index-404", BAD, ["404", "amd64"]),
        ("update-unsigned", BAD, ["is not signed"]),
        ("update-tampered-index", BAD, ["unexpected size"]),
        ("update-captive-portal", BAD, ["does the network require authentication"]),
        (
            "update-suite-with-slash",
            "http://127.0.0.1:8002/debian-security trixie/updates",
            ["Connection refused"],
        ),
        ("update-flat-refused", "http://127.0.0.1:8002/apt ./", ["Connection refused"]),
        ("update-flat-404", "http://127.0.0.1:8002/apt ./", ["404"]),
        ("update-file-method", "file:/srv/repo trixie", ["File not found"]),
        ("update-https-missing", "https://127.0.0.1:8002/debian trixie", ["TLS", "SSL"]),
        ("update-no-method", "tor+http://x.onion/debian trixie", ["method"]),
        ("update-again-404", BAD, ["no longer has a Release file"]),
        ("update-again-403", BAD, ["403"]),
        ("update-again-401", BAD, ["401"]),
        ("update-again-unsigned", BAD, ["is no longer signed"]),
        ("update-again-expired", BAD, ["is expired"]),
        ("update-again-future", BAD, ["is not valid yet"]),
        ("update-again-weak", BAD, ["weak security information"]),
        ("update-again-changed-suite", BAD, ["changed its 'Codename' value"]),
    ],
)
def test_a_repository_that_failed_is_named_with_apts_reason(
    release: str, name: str, repository: str, words: list[str]
) -> None:
    failed = failures(release, name)
    assert any(word in failed[repository] for word in words)
    # apt gives up on a host after one refusal: of three samples the good one failed, too.
    assert failed.keys() <= {repository, GOOD}


@pytest.mark.parametrize(
    ("release", "missing", "unreadable"),
    [
        ("bookworm", "NO_PUBKEY 5035002DCBBF25D6", "Unknown error executing apt-key"),
        ("trixie", "Missing key 608C410B70CF450262633FAF5035002DCBBF25D6", "Permission denied"),
    ],
)
def test_a_signature_that_is_not_good_is_more_than_not_signed(
    release: str, missing: str, unreadable: str
) -> None:
    assert missing in failures(release, "update-wrong-key")[BAD]
    assert unreadable in failures(release, "update-again-keyring-unreadable")[BAD]
    assert set(failures(release, "update-missing-keyring")) == {BAD}
    assert set(failures(release, "update-again-wrong-key")) == {BAD}


@releases
def test_each_repository_is_named_once_and_in_a_sentence(release: str) -> None:
    for name in names(release, "update-"):
        failed = output.failed_repositories(sample(release, name))
        assert len({f.name for f in failed}) == len(failed)
        for repository in failed:
            assert repository.reason
            assert repository.reason == repository.reason.strip(" .:")
            assert str(repository) == f"{repository.name}: {repository.reason}"


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("http://h/debian/dists/sid/InRelease", "http://h/debian sid"),
        ("http://h/debian/dists/sid/main/binary-amd64/Packages.xz", "http://h/debian sid"),
        ("http://h/debian/dists/sid/contrib/binary-all/Packages", "http://h/debian sid"),
        ("http://h/debian/dists/sid/non-free/i18n/Translation-en.xz", "http://h/debian sid"),
        ("http://h/ubuntu/dists/jammy/universe/cnf/Commands-amd64.xz", "http://h/ubuntu jammy"),
        ("http://h/debian/dists/sid/main/dep11/Components-amd64.yml.gz", "http://h/debian sid"),
        ("http://h/dists/sid/Release.gpg", "http://h sid"),
        ("http://h/d/dists/sid/updates/main/source/Sources.xz", "http://h/d sid/updates"),
        ("http://h/d/dists/maint/x/InRelease", "http://h/d maint/x"),
        (
            "http://h/debian/dists/sid/main/binary-amd64/by-hash/SHA256/abc",
            "http://h/debian sid",
        ),
        ("http://user:secret@h/debian/dists/sid/InRelease", "http://h/debian sid"),
        ("https://token@h/apt/./InRelease", "https://h/apt ./"),
        ("mirror+file:/etc/mirrors.txt/dists/sid/InRelease", "mirror+file:/etc/mirrors.txt sid"),
    ],
)
def test_the_name_of_a_repository(where: str, name: str) -> None:
    (failed,) = output.failed_repositories(f"E: Failed to fetch {where}  404  Not Found\n")
    assert failed.name == name


def test_no_password_is_repeated() -> None:
    text = (
        "W: Failed to fetch http://user:s3cret@h/dists/sid/InRelease  Could not connect\n"
        "E: The repository 'http://user:s3cret@g sid Release' does not have a Release file.\n"
        "W: GPG error: http://user:s3cret@f sid InRelease: NO_PUBKEY 1\n"
        "E: Release file for http://user:s3cret@e/dists/sid/InRelease is expired (long ago).\n"
    )
    failed = output.failed_repositories(text)
    assert len(failed) == 4
    assert "s3cret" not in "".join(map(str, failed))


@given(
    st.lists(st.sampled_from(["E: Failed to fetch ", "W: ", "http://h/", " ", "dists/", "'", "\n"]))
)
def test_any_output_like_it_is_read(pieces: list[str]) -> None:
    for failed in output.failed_repositories("".join(pieces)):
        assert isinstance(failed, FailedRepository)
        assert failed.reason


# -- apt-get --simulate


@releases
@pytest.mark.parametrize(
    ("name", "installs", "removals"),
    [
        (
            "simulate-install",
            {"beta": "1.0", "alpha": "1.0", "foreign:i386": "1.0", "g++tiny": "1:2.0-1"},
            set(),
        ),
        ("simulate-remove", {}, {"alpha", "beta"}),
        ("simulate-purge", {}, {"alpha", "foreign:i386", "hasconf"}),
        (
            "simulate-upgrade",
            {
                "beta": "2.0",
                "alpha": "2.0",
                "foreign:i386": "2.0",
                "g++tiny": "1:2.1~rc1-1",
                "hasconf": "2.0",
            },
            set(),
        ),
        ("simulate-downgrade", {"beta": "0.5"}, set()),
        ("simulate-conflict", {"c": "1.0"}, {"a", "b"}),
        ("simulate-local", {"local": "1:3.0"}, set()),
        ("simulate-unconfigured", {"a": "2.0", "b": "2.0"}, {"a", "b"}),
        ("simulate-impossible", {}, set()),
    ],
)
def test_simulations(release: str, name: str, installs: dict[str, str], removals: set[str]) -> None:
    simulated = output.parse_simulation(sample(release, name))
    assert simulated.installs == installs
    assert simulated.removals == removals


def test_a_simulation_with_several_origins() -> None:
    text = (
        "Inst libc6 [2.36-9] (2.36-9+deb12u7 Debian:12.5/stable, Debian-Security:12/stable-security"
        " [amd64]) [libc6:amd64 on libc-bin:amd64]\n"
        "Conf libc6 (2.36-9+deb12u7 Debian:12.5/stable [amd64])\n"
        "Remv old [1] [needs-it:amd64 ]\n"
        "Instructions are not steps\n"
    )
    simulated = output.parse_simulation(text)
    assert simulated.installs == {"libc6": "2.36-9+deb12u7"}
    assert simulated.removals == {"old"}


# -- APT::Status-Fd


def statuses(release: str, name: str) -> list[StatusLine]:
    """The lines of a sample; each has to be understood."""
    lines = [output.parse_status(line) for line in sample(release, name).splitlines()]
    assert None not in lines
    return [line for line in lines if line is not None]


@releases
def test_progress(release: str) -> None:
    lines = statuses(release, "status-install")
    assert lines[0] == StatusLine("dlstatus", "1", 0.0, "Retrieving file 1 of 6")
    assert StatusLine("pmstatus", "dpkg-exec", 0.0, "Running dpkg") in lines
    assert StatusLine("pmstatus", "g++tiny", 32.0, "Preparing g++tiny (amd64)") in lines
    assert StatusLine("pmstatus", "foreign", 24.0, "Preparing foreign (i386)") in lines
    for kind in ("dlstatus", "pmstatus"):
        percents = [line.percent for line in lines if line.kind == kind]
        assert percents == sorted(percents)
        assert 0 <= percents[0] <= percents[-1] <= 100


def errors(release: str, name: str) -> dict[str, str]:
    """What failed in a sample, by the names of the model."""
    return {
        output.package_of(line.subject, "amd64"): line.text
        for line in statuses(release, name)
        if line.kind == "pmerror"
    }


@releases
def test_what_failed_is_named_as_the_model_names_it(release: str) -> None:
    assert list(errors(release, "status-install")) == ["broken"]
    failed = errors(release, "status-errors")
    assert list(failed) == ["prebad", "two", "fbad:i386"]
    assert "pre-installation script" in failed["prebad"]
    assert "trying to overwrite '/usr/share/x/same'" in failed["two"]
    assert list(errors(release, "status-multi-arch")) == ["lib", "lib:i386"]
    assert list(errors(release, "status-conffile")) == ["cf"]


@releases
def test_a_question_about_a_conffile(release: str) -> None:
    (line,) = (x for x in statuses(release, "status-conffile") if x.kind == "pmconffile")
    assert line.subject == "/etc/cf"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "pmstatus",
        "pmstatus:",
        "pmstatus:vim",
        "pmstatus:vim:",
        "pmstatus:vim:many:text",
        "pmstatus:vim:.:text",
        "pmstatus:vim:1.2.3:text",
        "status: vim: installed",
        "processing: install: vim",
        "media-change:Debian 12:/media/cdrom:",
        "pmrecover:vim:1.0:text",
    ],
)
def test_a_line_of_another_shape(line: str) -> None:
    assert output.parse_status(line) is None


@given(st.text(st.sampled_from("dlpmstatuserror:.0123456789/ \n")))
def test_any_line_is_read(line: str) -> None:
    for text in (line, f"pmerror:{line}", f"pmstatus:vim:{line}"):
        parsed = output.parse_status(text)
        assert parsed is None or parsed.percent >= 0


@pytest.mark.parametrize(
    ("subject", "package"),
    [
        ("vim", "vim"),
        ("libc6:amd64", "libc6"),
        ("libc6:i386", "libc6:i386"),
        ("/tmp/apt-dpkg-install-YE5UsG/5-prebad_1.0_all.deb", "prebad"),  # noqa: S108
        ("/tmp/apt-dpkg-install-YE5UsG/12-7zip_1%3a1.0_amd64.deb", "7zip"),  # noqa: S108
        ("/var/cache/apt/archives/libc6_2.36-9_i386.deb", "libc6:i386"),
        ("/var/cache/apt/archives/g++_4%3a12.2.0_amd64.deb", "g++"),
        ("libstdc++6_1.0+x~1_all.deb", "libstdc++6"),
    ],
)
def test_the_package_that_something_is_about(subject: str, package: str) -> None:
    assert output.package_of(subject, "amd64") == package


# -- archives and locks


@releases
def test_archives_that_are_gone(release: str) -> None:
    unfetched = output.unfetched_archives(sample(release, "archive-404"), "amd64")
    assert list(unfetched) == ["g++lost", "gone"]
    assert all("404  Not Found" in reason for reason in unfetched.values())


@releases
def test_archives_on_a_host_that_is_down(release: str) -> None:
    unfetched = output.unfetched_archives(sample(release, "archive-refused"), "amd64")
    assert list(unfetched) == ["g++lost", "gone"]
    assert all("onnect" in reason for reason in unfetched.values())
    assert not any(reason.endswith((":", ".")) for reason in unfetched.values())


@releases
def test_an_archive_of_a_foreign_package(release: str) -> None:
    text = sample(release, "archive-foreign-404")
    assert list(output.unfetched_archives(text, "amd64")) == ["fgone:i386"]
    assert list(output.unfetched_archives(text, "i386")) == ["fgone"]


@releases
def test_nothing_was_unfetched(release: str) -> None:
    for name in ("update-ok", "simulate-install"):
        assert output.unfetched_archives(sample(release, name), "amd64") == {}


@releases
def test_being_locked_out(release: str) -> None:
    for name in ("lock-at-once", "lock-waited"):
        assert output.locked_out(sample(release, name))


@releases
def test_having_waited_is_not_being_locked_out(release: str) -> None:
    waited = sample(release, "lock-waited").splitlines()[0]
    assert "Could not get lock" in waited
    failed = "E: Sub-process /usr/bin/dpkg returned an error code (1)\n"
    assert not output.locked_out(f"{waited}\n{failed}")
