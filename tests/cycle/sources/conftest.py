"""Keys of vendors, made once for the whole run, and an image with what vendors' pages ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed import images
from testbed.images import Image
from testbed.repository import SigningKey


@pytest.fixture(scope="session")
def key_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where keys are made. Its path is short: gpg-agent's sockets lie below."""
    return tmp_path_factory.mktemp("v")


@pytest.fixture(scope="session")
def vendor_key(key_directory: Path) -> SigningKey:
    """The key of a vendor."""
    return SigningKey.generate(key_directory, "Vendor <keys@vendor.example>")


@pytest.fixture(scope="session")
def other_key(key_directory: Path) -> SigningKey:
    """The key of somebody else, or the vendor's next one."""
    return SigningKey.generate(key_directory, "Other <keys@other.example>")


@pytest.fixture(scope="session")
def expired_key(key_directory: Path) -> SigningKey:
    """A key that expired on 2025-01-01, and signed before."""
    return SigningKey.generate(
        key_directory,
        "Old <keys@old.example>",
        expires="20250101T120000",
        clock="20240601T000000",
    )


@pytest.fixture(scope="session")
def curl_image(suite: str, aptkeep_deb: Path) -> Image:
    """The image with the tools that vendors' instructions take for granted."""
    at = f"/root/{aptkeep_deb.name}"
    tools = images.extend(
        images.with_dependencies(suite), "tools", packages=("curl", "lsb-release", "gpg")
    )
    made = images.extend(
        tools,
        "aptkeep-tools",
        [["dpkg", "-i", at], ["rm", at]],
        files={at: aptkeep_deb.read_bytes()},
    )
    return images.without_pool(images.without_archive(made))
