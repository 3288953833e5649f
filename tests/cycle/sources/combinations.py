"""The table of `test_combinations`: how a source can be written, and where its key can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cycle.sources.vendor import HOME, KEYRINGS, SOURCES, TRUSTED
from testbed.repository import SigningKey

PLACES = {
    "keyrings": KEYRINGS,
    "share": "/usr/share/keyrings",
    "trusted": TRUSTED,
    "home": f"{HOME}/.local/share",
    "opt": "/opt/vendor/keys",
}


@dataclass(frozen=True)
class Written:
    """What the text of a source is made of."""

    uri: str
    suite: str
    keys: str
    """Paths of keyrings, with commas."""
    signer: SigningKey
    architecture: str

    @property
    def where(self) -> str:
        """Everything of a one-line entry after its options."""
        return f"{self.uri} {self.suite} main"

    @property
    def stanza(self) -> str:
        """Everything of a stanza but for its keys."""
        return f"Types: deb\nURIs: {self.uri}\nSuites: {self.suite}\nComponents: main\n"

    @property
    def block(self) -> str:
        """The key itself, as the continuation of a field."""
        lines = self.signer.public().decode().splitlines()
        return "".join(f" {line or '.'}\n" for line in lines)


# Blanks at line ends and a missing newline at the end of a file are there on purpose: they have to
# come back.
FORMS: dict[str, Callable[[Written], str]] = {
    "line": lambda w: f"deb [signed-by={w.keys}] {w.where}\n",
    "line-arch": lambda w: f"deb [arch={w.architecture} signed-by={w.keys}] {w.where}\n",
    "line-spaced": lambda w: f"\tdeb  [ signed-by={w.keys}  arch={w.architecture} ]\t{w.where}  \n",
    "line-no-newline": lambda w: f"deb [signed-by={w.keys}] {w.where}",
    "line-comments": lambda w: (
        f"# Vendor: see the manual\n\n#deb [signed-by={w.keys}] {w.uri} old main\n"
        f"deb [signed-by={w.keys}] {w.where} # the stable one \n"
        f"# deb-src [signed-by={w.keys}] {w.where}\n\n"
    ),
    "line-two": lambda w: (
        f"deb [signed-by={w.keys}] {w.where}\ndeb [signed-by={w.keys}] {w.uri}/b {w.suite} main\n"
    ),
    "line-trusted-any": lambda w: f"deb {w.where}\n",
    "line-fingerprint": lambda w: f"deb [signed-by={w.signer.fingerprint}] {w.where}\n",
    "stanza": lambda w: f"{w.stanza}Signed-By: {w.keys}\n",
    "stanza-enabled": lambda w: f"Enabled: yes\n{w.stanza}Signed-By: {w.keys}\n",
    "stanza-arch": lambda w: (
        f"{w.stanza}Architectures: {w.architecture}\nSigned-By: {w.keys}\nPDiffs: no\n"
    ),
    "stanza-spaced": lambda w: (
        f"\n\ntypes:deb\nuris:\n {w.uri}\nSUITES:   {w.suite} \nComponents:\n main\n"
        f"signed-by:\t{w.keys.replace(',', ' ')} \n\n\n"
    ),
    "stanza-continued": lambda w: (
        f"{w.stanza}Signed-By:\n" + "".join(f" {key}\n" for key in w.keys.split(","))
    ),
    "stanza-no-newline": lambda w: f"{w.stanza}Signed-By: {w.keys}",
    "stanza-comments": lambda w: (
        f"# Vendor\nTypes: deb\n# was: {w.uri}/old\nURIs: {w.uri}\nSuites: {w.suite}\n"
        f"Components: main\n# its key\nSigned-By: {w.keys}\n# the end"
    ),
    "stanza-two": lambda w: (
        f"{w.stanza}Signed-By: {w.keys}\n\n"
        f"{w.stanza.replace(w.uri, f'{w.uri}/b')}Signed-By: {w.keys}\n"
    ),
    "stanza-one-off": lambda w: (
        f"{w.stanza}Signed-By: {w.keys}\n\n"
        f"{w.stanza.replace(w.uri, f'{w.uri}/b')}Signed-By: {w.keys}\nEnabled: no\n"
    ),
    "stanza-embedded": lambda w: f"{w.stanza}Signed-By:\n{w.block}",
    "stanza-embedded-two": lambda w: (
        f"{w.stanza}Signed-By:\n{w.block}\n"
        f"{w.stanza.replace(w.uri, f'{w.uri}/b')}Signed-By:\n{w.block}"
    ),
    "stanza-trusted-any": lambda w: w.stanza,
    "stanza-fingerprint": lambda w: f"{w.stanza}Signed-By: {w.signer.fingerprint}\n",
    # sources.list itself: what was in it, and a line more.
    "main": lambda w: f"# mine\n\ndeb [signed-by={w.keys}] {w.where}\n#deb {w.uri}/old x main",
}

KEY_FORMS = {
    "gpg": ".gpg",
    "asc": ".asc",
    "pgp": ".pgp",
    "ring": ".gpg",
    "ring-asc": ".asc",
    "two-gpg": ".gpg",
    "two-mixed": ".asc",
}
"""How keys are in their files, and what the name of the (first) file ends in."""


@dataclass(frozen=True)
class Case:
    """One row: a source, where its key is, in what form, and whose it is."""

    form: str
    place: str = ""
    key: str = "asc"
    owner: str = "user"
    """`user`; `image`: a package of the image ships the key; `vendor`: one of the repository."""
    modes: tuple[int, int] = (0o644, 0o644)
    """Of the source, and of its keys."""

    @property
    def name(self) -> str:
        """What names it, in failures and in its files."""
        special = "" if self.modes == (0o644, 0o644) else "-{:o}-{:o}".format(*self.modes)
        parts = (self.form, self.place, self.key if self.place else "", self.owner)
        return "_".join(part for part in parts if part) + special

    @property
    def source_path(self) -> str:
        """Where the source is."""
        if self.form == "main":
            return "/etc/apt/sources.list"
        return f"{SOURCES}/{self.name}.{'list' if self.form.startswith('line') else 'sources'}"

    @property
    def named_key_paths(self) -> tuple[str, ...]:
        """The keyrings."""
        if not self.place:
            return ()
        stem = f"{PLACES[self.place]}/{self.name}"
        more = {"two-gpg": (f"{stem}-b.gpg",), "two-mixed": (f"{stem}-b.gpg",)}
        return (f"{stem}{KEY_FORMS[self.key]}", *more.get(self.key, ()))

    def key_files(self, signer: SigningKey, other: SigningKey) -> dict[str, bytes]:
        """The content of each keyring; of several keys the signer's comes last but for armored."""
        ring = other.public(armored=False) + signer.public(armored=False)
        # apt on Debian 12 reads no more than the first armored block of a file.
        armored_ring = signer.public() + other.public()
        contents: dict[str, tuple[bytes, ...]] = {
            "gpg": (signer.public(armored=False),),
            "asc": (signer.public(),),
            "pgp": (signer.public(armored=False),),
            "ring": (ring,),
            "ring-asc": (armored_ring,),
            "two-gpg": (other.public(armored=False), signer.public(armored=False)),
            "two-mixed": (other.public(), signer.public(armored=False)),
        }
        return dict(zip(self.named_key_paths, contents[self.key], strict=False))


CASES = (
    # What vendors' pages say, at each of the places and with each form of a key.
    *(Case("line", place, key) for place in PLACES for key in ("gpg", "asc")),
    *(Case("stanza", place, key) for place in PLACES for key in ("gpg", "asc")),
    *(
        Case(form, place, "ring")
        for form in ("line", "stanza")
        for place in ("keyrings", "trusted", "home")
    ),
    *(Case(form, "share", "ring-asc") for form in ("line", "stanza")),
    *(Case(form, place, "pgp") for form in ("line", "stanza") for place in PLACES),
    *(
        Case(form, place, key)
        for form in ("line", "stanza", "stanza-spaced", "stanza-continued")
        for place, key in (("keyrings", "two-gpg"), ("share", "two-mixed"))
    ),
    # Every other way to write a source.
    *(Case(f"line-{way}", "keyrings") for way in ("arch", "spaced", "no-newline", "comments")),
    Case("line-two", "share", "gpg"),
    *(Case(f"stanza-{way}", "keyrings") for way in ("enabled", "arch", "spaced", "continued")),
    *(Case(f"stanza-{way}", "keyrings") for way in ("no-newline", "comments", "one-off")),
    Case("stanza-two", "share", "gpg"),
    Case("stanza-embedded"),
    Case("stanza-embedded-two"),
    *(
        Case(f"{form}-{way}", "trusted", key)
        for form in ("line", "stanza")
        for way, key in (("trusted-any", "gpg"), ("fingerprint", "asc"))
    ),
    Case("main", "keyrings", "gpg"),
    # Keys that a package owns.
    *(
        Case(form, place, key, owner)
        for owner in ("image", "vendor")
        for form, place, key in (
            ("line", "share", "gpg"),
            ("line", "trusted", "asc"),
            ("stanza", "share", "asc"),
            ("stanza", "keyrings", "gpg"),
            ("stanza", "opt", "ring"),
        )
    ),
    # Modes that are nobody's default.
    Case("line", "keyrings", "gpg", modes=(0o600, 0o444)),
    Case("stanza", "share", "asc", modes=(0o640, 0o664)),
    Case("line", "trusted", "gpg", modes=(0o664, 0o755)),
    Case("stanza", "home", "asc", modes=(0o444, 0o604)),
)
