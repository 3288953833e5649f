"""The attacks: what somebody does to a store, what root then runs, and what comes of it.

| by | who that is |
| --- | --- |
| `bench-user` | the owner of the home, without sudo, or any process of theirs |
| `mallory` | another user who may write to the volume |
| `root` | a tenant of the volume, or a server of it, for whom owners and modes are no obstacle |
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

STORE = ".local/share/aptkeep"
GENUINE = ".local/share/genuine"
"""Where the store is moved: only root could move it to another directory."""
AWAY = f"mv {STORE} {GENUINE}"
_FORGE = f"attacker forge {GENUINE}/generations/000002.json {STORE}/generations"


@dataclass(frozen=True)
class Attack:
    """One row. The working directory is the home."""

    plant: str
    """What is done beforehand, for sh(1)."""
    by: str = "bench-user"
    meanwhile: str = ""
    """What goes on while root is at work."""
    undone: str = ""
    """What root has to do afterwards outside the home."""
    runs: tuple[str, ...] = ()
    """What root runs, see `siege.RUNS`; where it's all the same, it's a different one each time."""
    codes: tuple[int, ...] = (3,)
    """How the commands may end; what apt and dpkg run never ends in an error."""
    says: str = "is not trusted"
    """What root is told, if anything."""


_OTHER = ".local/share/forged"
_FORGE_NOW = f"attacker forge {STORE}/generations/000002.json"


def refused(plant: str, **more: object) -> Attack:
    """Nothing is read or written, and that's said."""
    return Attack(plant, **more)  # type: ignore[arg-type]


def harmless(plant: str = "", **more: object) -> Attack:
    """All is as if nobody had done anything."""
    return Attack(plant, **{"codes": (0,), "says": "", **more})  # type: ignore[arg-type]


def anyhow(plant: str = "", **more: object) -> Attack:
    """Depends on who was faster."""
    return Attack(plant, **{"codes": (0, 1, 3, 4), "says": "", **more})  # type: ignore[arg-type]


_OWN_STORE = f"{AWAY} && cp -r {GENUINE} {STORE} || true; {_FORGE}/000099.json 99"

REPLACED = {
    "a copy of the store, forged": refused(_OWN_STORE),
    "a store with links to the genuine parts": refused(
        f"{AWAY} && mkdir {STORE} && ln -s $PWD/{GENUINE}/* {STORE}/"
    ),
    "a link to the genuine store": refused(f"{AWAY} && ln -s genuine {STORE}"),
    "a link to a directory of root's": refused(f"{AWAY} && ln -s /srv/victims {STORE}"),
    "a link to /etc": refused(f"{AWAY} && ln -s /etc {STORE}", runs=("record", "gc", "verify")),
    "a link to nothing": refused(f"{AWAY} && ln -s /nowhere {STORE}"),
    "a link to itself": refused(f"{AWAY} && ln -s aptkeep {STORE}"),
    "a fifo for the store": refused(f"{AWAY} && mkfifo {STORE}"),
    "a socket for the store": refused(f"{AWAY} && attacker listen {STORE}"),
    "a file for the store": refused(f"{AWAY} && echo hello > {STORE}"),
    "no store any more": harmless(AWAY, runs=("hook", "start", "verify")),
}

PARENTS = {
    "a link for .local to root's directory": refused("mv .local x && ln -s /srv/victims .local"),
    "a link for share to root's directory": refused(
        "mv .local/share x && ln -s /srv/victims/share .local/share"
    ),
    "a link for .local to where it is": refused("mv .local x && ln -s x .local"),
    "a link for .local into /proc": refused("mv .local x && ln -s /proc/self/root .local"),
    "a fifo for .local": refused("mv .local x && mkfifo .local"),
    "a file for share": refused("mv .local/share x && echo > .local/share"),
    "somebody else's directory for share": refused(
        "mv .local/share x && mkdir .local/share && mv x/aptkeep .local/share/ && "
        "chown mallory .local/share",
        by="root",
    ),
    "parents that everybody may write to, and another user's store": refused(
        "chmod 777 . .local .local/share && runuser -u mallory -- sh -ec "
        f"'{AWAY} && cp -r {GENUINE} {STORE} || true; {_FORGE}/000099.json 99'",
        by="root",
    ),
    "parents that everybody may write to": harmless("chmod 777 . .local .local/share"),
    "parents that nobody may look into": harmless("chmod 0 .local/share .local ."),
    "a default ACL and a group that new files inherit": harmless(
        f"{AWAY} && chmod 2777 .local/share && attacker default_acl .local/share 1000"
    ),
}

# From here on the store itself is open to the attacker, as no mode of root's would have it.
_GENERATION = f"{STORE}/generations/000099.json"
_FORGED = f"{_FORGE_NOW} {_GENERATION} 99"


def _planted(plant: str, **more: object) -> Attack:
    return Attack(plant, **{"by": "root", **more})  # type: ignore[arg-type]


GENERATIONS = {
    "a forged generation of the user's": _planted(f"{_FORGED} && chown bench-user {_GENERATION}"),
    "a forged generation of nobody's": _planted(f"{_FORGED} && chown nobody {_GENERATION}"),
    "a forged generation that the group may write": _planted(
        f"{_FORGED} && chmod g+w {_GENERATION}"
    ),
    "a forged generation that an ACL lets the user write": _planted(
        f"{_FORGED} && attacker acl {_GENERATION} 1000"
    ),
    "a forged generation with two names": _planted(f"{_FORGED} && ln {_GENERATION} second"),
    "a link to a forged generation": _planted(
        f"{_FORGED} && mv {_GENERATION} x && ln -s $PWD/x {_GENERATION}"
    ),
    "the number 999999999": _planted(
        f"{_FORGE_NOW} {STORE}/generations/999999999.json 999999999 && "
        f" chown bench-user {STORE}/generations/999999999.json"
    ),
    "a generation of a newer schema": _planted(
        f"attacker newer {STORE}/generations/000002.json {_GENERATION} 99", says="has schema 1000"
    ),
    "a link to root's secret for a generation": _planted(f"ln -s /root/secret {_GENERATION}"),
    "a link to endless zeros for a generation": _planted(f"ln -s /dev/zero {_GENERATION}"),
    "endless zeros for a generation": _planted(f"mknod {_GENERATION} c 1 5"),
    "a terminal for a generation": _planted(f"mknod {_GENERATION} c 5 0"),
    "a fifo for a generation": _planted(f"mkfifo {_GENERATION}"),
    "a socket for a generation": _planted(f"attacker listen {_GENERATION}"),
    "a directory for a generation": _planted(f"mkdir {_GENERATION}"),
    "a huge file for a generation": _planted(f"truncate -s 3T {_GENERATION}"),
    "noise for a generation": _planted(
        f"head -c 100000 /dev/urandom > {_GENERATION}",
        runs=("hook",),
        codes=(0,),
        says="passed over",
    ),
    "generations of the user's": _planted(f"chown bench-user {STORE}/generations"),
    "generations that everybody may write to": _planted(f"chmod 777 {STORE}/generations"),
    "generations that are elsewhere": _planted(
        f"mv {STORE}/generations x && ln -s $PWD/x {STORE}/generations"
    ),
    "a store that the group may write to": _planted(f"chmod g+w {STORE}"),
    "a store of nobody's, as root_squash leaves it": _planted(f"chown -R nobody {STORE}"),
    "names that are none": _planted(
        f"cd {STORE}/generations; touch -- \"$(printf 'a\\nb')\" \"$(printf '\\033[31m')\" "
        f"\"$(printf '\\377\\376')\" {'x' * 250} 0.json -1.json 00000a.json; mkdir .new-x; "
        "ln -s /root/secret .new-y; mkfifo .new-z",
        codes=(0,),
        says="",
    ),
}

REST = {
    "a link for the log": _planted(
        f"rm {STORE}/log && ln -s /srv/victim {STORE}/log", codes=(0,), says=""
    ),
    "a fifo for the log": _planted(f"rm {STORE}/log && mkfifo {STORE}/log", codes=(0,), says=""),
    "a log of the user's": _planted(f"chown bench-user {STORE}/log", codes=(0,), says=""),
    "kept files of the user's": _planted(
        f"chown bench-user {STORE}/files/* {STORE}/keyrings/*",
        runs=("verify", "fresh"),
        codes=(1, 3),
    ),
    "a link to root's secret for a keyring": _planted(
        f"for key in {STORE}/keyrings/*; do ln -sf /root/secret $key; done",
        runs=("verify", "fresh"),
        codes=(1, 3),
    ),
    "endless zeros for kept files": _planted(
        f"for file in {STORE}/files/*; do rm $file; mknod $file c 1 5; done",
        runs=("verify", "fresh"),
        codes=(1, 3),
    ),
    "other contents of kept files": _planted(
        f"for file in {STORE}/files/* {STORE}/keyrings/*; do echo x >> $file; done",
        runs=("verify", "fresh"),
        codes=(1, 3),
        says="can't be used",
    ),
    "keyrings that are elsewhere": _planted(
        f"mv {STORE}/keyrings x && ln -s $PWD/x {STORE}/keyrings",
        runs=("verify", "fresh"),
        codes=(1, 3),
    ),
    "trees that are elsewhere": _planted(
        f"mv {STORE}/trees x && ln -s $PWD/x {STORE}/trees", runs=("verify", "start")
    ),
    "a listing of the user's": _planted(
        f"chown bench-user {STORE}/trees/*", runs=("verify", "start")
    ),
    "a pool that is elsewhere": _planted(
        f"mv {STORE}/pool x && ln -s $PWD/x {STORE}/pool", runs=("dpkg", "verify")
    ),
    "pooled files of the user's": _planted(
        f"chown bench-user {STORE}/pool/*.deb", runs=("verify", "fresh own"), codes=(1, 3)
    ),
    "a link for the index of the pool": _planted(
        f"rm {STORE}/pool/Packages && ln -s /srv/victim {STORE}/pool/Packages",
        runs=("dpkg", "record"),
        codes=(0,),
        says="",
    ),
    "what looks unfinished and is a link, a fifo, a directory": _planted(
        f"for each in generations files keyrings pool; do "
        f"(cd {STORE}/$each; ln -s /srv/victim .new-1; mkfifo .new-2; mkdir .new-3); done",
        codes=(0,),
        says="",
    ),
}

MEANWHILE = {
    f"{name} changes places with {what} while root runs {command}": anyhow(
        plant, meanwhile=f"attacker swap {first} {second}", runs=(command,)
    )
    for command in ("hook", "start", "verify", "gc", "dpkg")
    for name, what, plant, first, second in (
        (
            "the store",
            "a forged one",
            f"cp -r {STORE} {_OTHER} || true; {_FORGE_NOW} {_OTHER}/generations/000099.json 99",
            STORE,
            _OTHER,
        ),
        ("share", "a link to root's", "ln -s /srv/victims/share x", ".local/share", "x"),
    )
} | {
    "somebody holds every lock in the store": anyhow(
        meanwhile=f"attacker lock {STORE} {STORE}/pool {STORE}/files {STORE}/generations",
        runs=("dpkg",),
        codes=(0,),
        says="another aptkeep is at work",
    ),
    "somebody locks each new file in the pool": anyhow(
        meanwhile=f"attacker lock_whatever_is_new {STORE}/pool", runs=("dpkg", "verify"), codes=(0,)
    ),
    "somebody sends signals and attaches": harmless(meanwhile="attacker hunt aptkeep"),
}

_INFO = "/var/lib/dpkg/info"
_HOME = "/home/bench-user"
_SOURCE = "/etc/apt/sources.list.d/home.list"
_HOME_KEY = (
    f"cp /etc/apt/keyrings/local.asc key.asc && chown bench-user key.asc && "
    f"sed 's|/etc/apt/keyrings/local|{_HOME}/key|' /etc/apt/sources.list.d/local.list > {_SOURCE};"
)

HOME = {
    "a file that root installs is another one once dpkg has unpacked it": anyhow(
        "cp /srv/theirs/theirs_1.0_all.deb /srv/theirs/evil.deb .",
        meanwhile=f"attacker rewrite_when_read theirs_1.0_all.deb evil.deb {_INFO}/theirs.postinst",
        undone="dpkg -P theirs",
        runs=("install theirs",),
    ),
    "a user's directory in a kept path changes places with a link": anyhow(
        "mkdir -p /opt/kept/theirs/d && echo 1 > /opt/kept/theirs/d/file && "
        "ln -s /srv/victims/generations /opt/kept/theirs/x && "
        "chown -R bench-user /opt/kept/theirs && aptkeep record && rm /opt/kept/theirs/d/file",
        by="root",
        meanwhile="cd /opt/kept/theirs && exec runuser -u bench-user attacker swap d x",
        undone="rm -r /opt/kept/theirs",
        runs=("start", "record", "start"),
    ),
    "a key in the home changes places with a link to a key of root's": anyhow(
        f"{_HOME_KEY} ln -s /root/secret.asc x",
        by="root",
        meanwhile="attacker swap key.asc x",
        undone=f"rm {_SOURCE}",
        runs=("record",),
    ),
    "a key in the home changes places with a fifo": anyhow(
        f"{_HOME_KEY} mkfifo x",
        by="root",
        meanwhile="attacker swap key.asc x",
        undone=f"rm {_SOURCE}",
        runs=("record",),
    ),
    "a key in the home never ends": Attack(
        f"{_HOME_KEY} truncate -s 1T key.asc",
        by="root",
        undone=f"rm {_SOURCE}",
        runs=("record",),
        codes=(1,),
        says="is not kept: it is larger than",
    ),
    "there is no inode and no byte left in the home": Attack(
        f"mount -t tmpfs -o size=4m,nr_inodes=200,uid=1000,gid=1000,mode=755 home {_HOME} && "
        f"cp -a . {_HOME} && runuser -u bench-user attacker fill {_HOME}",
        by="root",
        undone=f"umount {_HOME}",
        runs=("hook", "record"),
        says="there is no room left",
    ),
    "configuration of apt in the home": harmless(
        "mkdir -p .config/apt etc/apt/apt.conf.d && "
        'echo \'Aptkeep::Home "/srv"; Dir::Etc "/home/bench-user/etc/apt"; '
        'DPkg::Pre-Invoke { "echo PLANTED"; };\' | tee .config/apt/apt.conf > .apt.conf; '
        "cp .apt.conf etc/apt/apt.conf.d/x",
        runs=("hook", "record"),
    ),
}

_ROTA = itertools.cycle((("hook",), ("start",), ("record",), ("gc",), ("hook",), ("verify",)))

ATTACKS = {
    name: attack if attack.runs else replace(attack, runs=next(_ROTA))
    for name, attack in {**REPLACED, **PARENTS, **GENERATIONS, **REST, **MEANWHILE, **HOME}.items()
}

_BY_ITS_OWNER = (
    "a copy of the store, forged",
    "a link to a directory of root's",
    "a link for share to root's directory",
    "a link to a forged generation",
    "a link to root's secret for a generation",
    "a link to endless zeros for a generation",
    "a fifo for a generation",
    "a huge file for a generation",
    "names that are none",
    "a link for the log",
    "a link to root's secret for a keyring",
    "other contents of kept files",
    "a pool that is elsewhere",
    "a link for the index of the pool",
    "what looks unfinished and is a link, a fifo, a directory",
    "the store changes places with a forged one while root runs start",
    "share changes places with a link to root's while root runs hook",
    "the number 999999999",
)

SIGNED = {
    name: replace(ATTACKS[name], by="bench-user", codes=(0, 1, 3, 4), says="")
    for name in _BY_ITS_OWNER
} | {
    "the owner exchanges kept files while root puts them back": anyhow(
        f"cp -r {STORE}/files x; for file in x/*; do ln -sf /srv/victim $file; done",
        meanwhile=f"attacker swap {STORE}/files x",
        runs=("fresh", "verify"),
    ),
}
"""What the user may try in a store that is theirs, and believed for its signatures."""
