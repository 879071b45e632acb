"""What measurements need to know of the machine and of processes, and how samples are shown."""

import datetime
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
NOT_A_DISK = {"tmpfs", "ramfs", "devtmpfs"}


def say(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def die(text):
    sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {text}")


def file_system_of(directory):
    """The type of the file system that the directory is on."""
    best, kind = "", "unknown"
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, point, name = line.split()[:3]
        point = point.encode().decode("unicode_escape")
        inside = point == "/" or directory == pathlib.Path(point) or \
            pathlib.Path(point) in directory.parents
        if inside and len(point) >= len(best):
            best, kind = point, name
    return kind


def require_disk(directory):
    """Data directories are made below it: what is measured is a disk."""
    if not directory.is_dir():
        die(f"{directory} is not a directory")
    kind = file_system_of(directory)
    if kind in NOT_A_DISK:
        die(f"{directory} is on {kind}, which has no disk to sync to; name another with --dir")


def resident_bytes(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.M)[1]) * 1024


def settled_bytes(pid):
    """Resident memory once it has stopped to change, at the latest after ten seconds."""
    last = resident_bytes(pid)
    for _ in range(20):
        time.sleep(0.5)
        now = resident_bytes(pid)
        if abs(now - last) < 64 * 1024:
            return now
        last = now
    return last


def cpu_seconds(pid):
    """User and system time of a process, its ended threads included."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def revision():
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    done = subprocess.run(git, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def conditions(directory, rounds, seconds):
    """Under which a table came about, in one sentence."""
    return (f"{datetime.date.today()}, revision {revision()}: {os.cpu_count()} cores of "
            f"{cpu_model()}, Linux {platform.release()}, {file_system_of(directory)}; "
            f"{rounds} rounds of {seconds:g} s each, median (lowest - highest); "
            "client and broker on the same machine.")


def cell(values, decimals):
    """The median, and from where to where the rounds went."""
    if not values:
        return "-"
    text = f"{statistics.median(values):,.{decimals}f}"
    if len(values) > 1:
        text += f" ({min(values):,.{decimals}f} - {max(values):,.{decimals}f})"
    return text


def print_markdown(rows):
    """A table; the first row is its head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for n, row in enumerate(rows):
        print("| " + " | ".join(c.ljust(w) for c, w in zip(row, widths)) + " |")
        if n == 0:
            print("|" + "|".join("-" * (w + 2) for w in widths) + "|")
