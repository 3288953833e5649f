"""What is below the kept paths, and ways to look at it."""

from __future__ import annotations

import json
from typing import Any

from cycle.keeping import document, store
from testbed.workstation import Workstation

KEPT = ("/usr/local", "/opt/vendor", "/etc/site", "/etc/hosts.allow")
CONFIGURATION = (
    "Aptkeep::Keep { "
    + "".join(f'"{path}"; ' for path in KEPT)
    + 'Exclude { "*/cache"; }; Max-Size "10M"; };\n'
)

ACCOUNTS = "useradd --uid 2001 --user-group alice; useradd --uid 2002 --user-group bob"
IMAGE = """
mkdir -p /etc/site/gone/deep /etc/site/cache /usr/local/lib/old /etc/site/tofile
for name in same changed touched mode /etc/hosts.allow gone/deep/x tolink tofile/x; do
    echo image > /etc/site/$name 2>/dev/null || echo image > $name
done
echo image > /etc/site/cache/of-image
echo image > /usr/local/lib/old/library
ln -s of-image /etc/site/link
"""
MADE = r"""
cd /usr/local
printf '#!/bin/sh\necho hello\n' > bin/hello; chmod 755 bin/hello
cp bin/hello bin/setuid; chown alice bin/setuid; chmod 4755 bin/setuid
ln bin/hello bin/hard
ln -s ../bin/hello lib/relative; ln -s /etc/shadow lib/outside; ln -s nowhere lib/dangling
chown -h 4711:4712 lib/dangling
python3 -c "
import os
os.setxattr('bin/hello', 'security.capability', bytes.fromhex('01000002' + '00200000' + '00' * 12))"
mkdir -p share/empty; chmod 2770 share/empty; chown alice:bob share/empty
mkdir -p /opt/vendor/private /opt/vendor/cache; cd /opt/vendor
echo secret > private/key; chmod 644 private/key; chmod 700 private; chown bob private
touch -d '2001-02-03 04:05:06.789 UTC' private/key
echo mine > users; chown alice:alice users; chmod 640 users
echo x > cache/x
touch -- "$(printf 'new\nline')" "$(printf 'invalid \377')" '-n' 'blank at end ' '*'
mkdir -p "$(printf 'd\nd')/\$(reboot)"
truncate -s 5M sparse
cd /etc/site
echo user > changed; touch touched; chmod 600 mode; rm -r gone; echo x > cache/x
rm tolink; ln -s /etc/hostname tolink; rm -r tofile; echo user > tofile
ln -sf elsewhere link
echo user > /etc/hosts.allow
"""
LOOK = f"""
import grp, hashlib, json, os, pwd, stat, sys

def name(number, get):
    try:
        return get(number)[0]
    except KeyError:
        return number

found = {{}}
for kept in {KEPT!r}:
    paths = [kept] + [os.path.join(d, n) for d, ds, fs in os.walk(kept) for n in ds + fs]
    for path in paths:
        # A file that was only touched is as the image has it.
        if not os.path.lexists(path) or "/cache" in path or path == "/etc/site/touched":
            continue
        s = os.lstat(path)
        link, file = stat.S_ISLNK(s.st_mode), stat.S_ISREG(s.st_mode)
        found[path] = [
            oct(s.st_mode), name(s.st_uid, pwd.getpwuid), name(s.st_gid, grp.getgrgid),
            os.readlink(path) if link else "",
            s.st_size if file else "", s.st_mtime_ns if file else "",
            hashlib.sha256(open(path, "rb").read()).hexdigest() if file else "",
            os.getxattr(path, "security.capability").hex()
            if file and "security.capability" in os.listxattr(path) else "",
        ]
json.dump(found, sys.stdout)
"""
SEEN = "python3 /root/look.py > /home/bench-user/seen.json"


def look(machine: Workstation) -> dict[str, list[Any]]:
    """Everything about everything below the kept paths, caches excepted."""
    found: dict[str, list[Any]] = json.loads(machine.run("python3", "/root/look.py").stdout)
    return found


def seen(machine: Workstation) -> dict[str, list[Any]]:
    """The same, as it was when `used` was recorded."""
    found: dict[str, list[Any]] = json.loads((machine.home / "seen.json").read_bytes())
    return found


def wanted(machine: Workstation) -> dict[str, str]:
    """What `aptkeep show` says of the kept paths."""
    return {entry["name"]: entry["wish"] for entry in document(machine, "show")["kept_paths"]}


def bytes_of_store(machine: Workstation) -> dict[str, tuple[int, int]]:
    """Size and time of every file in the store."""
    paths = [path for path in store(machine).rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in paths}
