"""What a command tries from inside. ``{name}`` stands for a thing outside that the scene has made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Attempt:
    """``command`` ends with 0 where it got through; ``gets`` says in words what it has then."""

    name: str
    gets: str
    command: str


def _python(code: str) -> str:
    """A command that runs ``code``, which holds no double quotes."""
    return f'python3 -c "{code}"'


ATTEMPTS: Final = (
    Attempt("log", "reads the log", "grep -q SECRET {log}"),
    Attempt("log folder", "writes beside the log", ": > {folder}/made-inside"),
    Attempt("log mode", "changes the mode of the log's file", "chmod 640 {log}"),
    Attempt("keys", "reads the file of keys", "grep -q SECRET {keys}"),
    Attempt("own environment", "reads what its session keeps of its creator's environment", "grep -q SECRET {env}"),
    Attempt("other session", "reads another session's workspace", "grep -q SECRET {other}"),
    Attempt("home", "reads the home of who runs Apollo", "grep -q SECRET {home}"),
    Attempt("temporary files", "reads the temporary files of others", "grep -q SECRET {tmp}"),
    Attempt("shared memory", "reads the shared memory of others", "grep -q SECRET {shm}"),
    Attempt("terminal", "writes to a terminal outside", "echo made-inside > {terminal}"),
    Attempt("passwords", "reads /etc/shadow", "head -c 1 /etc/shadow"),
    Attempt("system", "writes into /usr or /etc", ": > /usr/made-inside || : > /etc/made-inside"),
    Attempt("kernel switches", "sets a switch of the kernel", "echo {panic} > /proc/sys/kernel/panic"),
    Attempt("disk", "reads the disk by a device of its own", "mknod disk b {disk} && head -c 1 disk"),
    Attempt("mount", "mounts the system again, to write it", "mount -o remount,rw /usr"),
    Attempt(
        "unix socket",
        "connects to a socket such as the host's",
        _python("import socket; socket.socket(socket.AF_UNIX).connect('{socket}')"),
    ),
    Attempt(
        "abstract socket",
        "connects to an abstract socket",
        _python("import socket; socket.socket(socket.AF_UNIX).connect(chr(0) + '{abstract}')"),
    ),
    Attempt(
        "TCP",
        "connects to a TCP port",
        _python("import socket; socket.create_connection(('127.0.0.1', {port}), 2)"),
    ),
    Attempt(
        "UDP",
        "sends a datagram to a UDP port",
        _python("import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.sendto(b'x', ('127.0.0.1', {udp}))"),
    ),
    Attempt("command lines", "reads the command line of a process outside", "grep -qa made-outside {proc}/cmdline"),
    Attempt("environment", "reads the environment of a process outside", "grep -qa SECRET {proc}/environ"),
    Attempt("memory", "opens the memory of a process outside", ": < {proc}/mem"),
    Attempt("root", "goes through the root of a process outside", "grep -q SECRET {proc}/root{log}"),
    Attempt("signals", "may signal a process outside", "kill -0 {outside}"),
    Attempt("capabilities", "holds a capability", "! grep -q '^CapEff:\\s*0*$' /proc/self/status"),
    Attempt("survival", "a process lives on when the session has ended", "setsid sleep {long} > /dev/null 2>&1 &"),
    Attempt(
        "processes",
        "has 300 processes where 200 are allowed",
        "n=0; while [ $n -lt 300 ]; do sleep 60 & n=$((n + 1)); done; "
        "running=$(jobs -r | wc -l); kill $(jobs -p); wait; [ $running -ge 300 ]",
    ),
    Attempt("one file", "writes a file of 30 MB where 20 MB are allowed", "head -c 30000000 /dev/zero > big"),
    Attempt(
        "many files",
        "fills the disk by files of 15 MB",
        "for n in 1 2 3 4; do head -c 15000000 /dev/zero > big$n || exit 1; done",
    ),
    Attempt("memory use", "takes 3 GB where 2 GB are allowed", _python("x = bytearray(3_000_000_000)")),
    Attempt("host reads", "has the host read a file for it", "cd {jobs}/{own} && rm output && ln -s {log} output"),
    Attempt(
        "host waits",
        "has the host wait",
        "cd {jobs} && n=1 && for name in job.json claim.json child.json exit.json output; do "
        "rm $n/$name && mkfifo $n/$name && n=$((n + 1)) || exit 1; done",
    ),
    Attempt(
        "host ends",
        "has the host end a process outside",
        "cd {jobs} && echo '{keeper}' > keeper.json && echo '{claim}' > {own}/claim.json && mkdir 500 501 502 && "
        "for n in 500 501 502; do cp {own}/job.json $n && echo '{child}' > $n/child.json; done && "
        "cp {own}/claim.json 500 && echo '{lost}' > 501/claim.json && echo '{lost_there}' > 502/claim.json",
    ),
    Attempt("open files", "opens 300 files where 256 are allowed", _python("[open('/dev/null') for n in range(300)]")),
)
BY_THE_HOST: Final = frozenset({"host reads", "host waits", "host ends"})
"""A command only lays these in wait, among the files of its session's jobs; it is the host that would do them."""
JUDGED_OUTSIDE: Final = frozenset({"log folder", "terminal", "UDP", "survival"}) | BY_THE_HOST
"""What says whether these got through is outside: what is there, what arrived, who lives on, and what the host did."""
