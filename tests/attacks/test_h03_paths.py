"""H3: no way out of a passed directory: `..`, links of the host's, magic links, the host's /proc."""

import os

import lodger

SCRIPT = r"""
for p in /v/../../../../../../$SECRET /v/up/$SECRET /v/abs /v/magic/$SECRET /v/rel /v/dir/../../$SECRET /proc/1/root/$SECRET /proc/self/root/$SECRET \
         /proc/self/cwd/../../../$SECRET /proc/$HOSTPID/root/$SECRET /proc/$HOSTPID/environ /dev/fd/3/../../$SECRET; do
    cat "$p" 2>/dev/null
done
exec 3</v; ls -l /proc/self/fd/3 >/dev/null; cat /proc/self/fd/3/../secret 2>/dev/null
ls /proc | grep -c '^[0-9]'
mkdir -p /v/a/b; cd /v/a/b; mv /v/a /tmp/a 2>/dev/null; cat ../../secret ../../../secret 2>/dev/null
ln -s / /v/root 2>/dev/null; cat /v/root/$SECRET 2>/dev/null
mknod /v/disk b 8 0 2>/dev/null && head -c 16 /v/disk | od -c
ls /sys/kernel/debug /run/user /root/.ssh 2>/dev/null
echo done
"""


def test_no_way_out(kernel, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("TOPSECRET\n")
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "dir").mkdir()
    for name, target in {
        "up": "..",
        "abs": str(secret),
        "magic": f"/proc/{os.getpid()}/root",
        "rel": "../secret",
    }.items():
        (volume / name).symlink_to(target)
    with lodger.VM(volumes={str(volume): "/v"}, memory="128M") as vm:
        done = vm.run(
            ["sh", "-c", SCRIPT],
            env={"SECRET": str(secret).lstrip("/"), "HOSTPID": str(os.getpid()), "PATH": os.environ["PATH"]},
            timeout=30,
        )
    assert b"TOPSECRET" not in done.stdout + done.stderr
    assert done.stdout.endswith(b"done\n"), done
    assert not os.path.exists(volume / "disk") or not os.stat(volume / "disk").st_rdev
