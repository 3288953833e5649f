"""One family of errors, and the exit codes that other programs rely on."""

from __future__ import annotations

import pytest

from aptkeep import errors
from aptkeep.errors import AptkeepError, ExitCode
from aptkeep.store.format.codec import NewerSchemaError
from aptkeep.store.kept import AlteredError


def test_the_exit_codes_are_those_of_the_manual() -> None:
    codes = {name: code for name, code in vars(ExitCode).items() if name.isupper()}
    assert codes == {"OK": 0, "PENDING": 1, "USAGE": 2, "UNTRUSTED": 3, "LOCKED": 4}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError, 2),
        (errors.UntrustedError, 3),
        (errors.CorruptError, 3),
        (errors.StoreUnavailableError, 3),
        (NewerSchemaError, 3),
        (AlteredError, 3),
        (errors.LockedError, 4),
        (errors.CommandError, 1),
    ],
)
def test_each_error_ends_in_its_code(error: type[AptkeepError], code: int) -> None:
    assert issubclass(error, AptkeepError)
    assert error.exit_code == code


def test_no_error_ends_in_success() -> None:
    def family(error: type[AptkeepError]) -> set[type[AptkeepError]]:
        return {error}.union(*(family(child) for child in error.__subclasses__()))

    assert all(error.exit_code != ExitCode.OK for error in family(AptkeepError))


def test_an_error_says_what_happened_what_it_means_and_what_to_do() -> None:
    error = AptkeepError("it broke", details="nothing was done.", resolution="mend it")
    assert str(error) == error.brief == "it broke"
    assert error.one_line() == "it broke; nothing was done; mend it"


def test_what_there_is_not_to_say_is_left_out() -> None:
    assert AptkeepError("it broke").one_line() == "it broke"
    assert AptkeepError("it broke.", resolution="mend it.").one_line() == "it broke; mend it"
