"""What can happen to a journal, step by step: cuts, flipped bits, a full disk, and the death of its process.

Each function returns how many faults it made, and those that went wrong, a sentence each: an acknowledged document that
is lost, or damage that nobody is told of.
"""

import json
import os
import resource
import select
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

from whiteline.beamline.store.journal import Journal, JournalError, read

Found = tuple[int, list[str]]


def documents(count: int) -> list[tuple[str, dict[str, Any]]]:
    """Return documents of various sizes, with what JSON finds hard."""
    return [
        ("event", {"seq_num": n, "data": {"x": n / 3, "nan": float("nan"), "µ": "µm" * (n % 7)}, "time": 1.79e9 + n})
        for n in range(count)
    ]


def same(found: Any, wanted: Any) -> bool:
    """Return whether documents are the same; NaN is the same as NaN."""
    return json.dumps(found) == json.dumps(json.loads(json.dumps(wanted)))


def written(path: Path, count: int) -> tuple[bytes, list[int]]:
    """Write a journal, and return its content, and where its lines end."""
    path.unlink(missing_ok=True)
    with Journal(path, new=True) as journal:
        ends = [sum(len(line) + 1 for line in [journal.append(*one)]) for one in documents(count)]
    return path.read_bytes(), list(np.cumsum(ends))


def cut_at_every_byte(path: Path, count: int = 12) -> Found:
    """Cut a journal, go on with it, and look for all documents before the cut, and the one that came after."""
    content, ends = written(path, count)
    wanted, wrong = documents(count + 1), []
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        # a line without its end alone is whole
        kept = sum(end - 1 <= cut for end in ends)
        partly = cut not in (0, *ends, *(end - 1 for end in ends))
        before = read(path)
        if not same(before.documents, wanted[:kept]) or before.damage or (before.torn > 0) != partly:
            wrong.append(f"cut at {cut}: {len(before.documents)} of {kept} documents, torn {before.torn}")
        with Journal(path) as journal:
            journal.append(*wanted[count])
        after = read(path)
        if not same(after.documents, [*wanted[:kept], wanted[count]]) or after.damage or after.torn:
            wrong.append(f"cut at {cut}, and gone on with: {after.damage} {after.torn}")
    return len(content) + 1, wrong


def flipped_bits(path: Path, seed: int, flips: int = 3000, count: int = 40) -> Found:
    """Flip one bit at a time: each document is there as it was, or it is said that some are damaged."""
    content, _ = written(path, count)
    wanted, wrong = documents(count), []
    source = np.random.default_rng(seed)
    for place in source.choice(8 * len(content), flips, replace=False):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        found = read(path)
        if not (found.damage or found.torn):
            wrong.append(f"bit {place}: nothing said")
        rest = iter(json.dumps(one) for one in json.loads(json.dumps(wanted)))
        if not all(json.dumps(one) in rest for one in json.loads(json.dumps(found.documents))):
            wrong.append(f"bit {place}: a document has changed")
        with Journal(path) as journal:
            journal.append("stop", {"uid": "end"})
        if not (read(path).documents[-1] == ("stop", {"uid": "end"}) and (read(path).damage or found.torn)):
            wrong.append(f"bit {place}: gone on with, and nothing said")
    return flips, wrong


def full_at_every_write(path: Path, count: int = 12) -> Found:
    """Let the disk be full after each number of bytes, by a limit of the kernel; then make room and go on."""
    content, _ = written(path, count)
    wanted, wrong = documents(count), []
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for room in range(len(content)):
            path.unlink()
            acknowledged, refused = [], 0
            with Journal(path, new=True) as journal:
                resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
                for number, one in enumerate(wanted):
                    try:
                        journal.append(*one)
                    except JournalError:
                        refused += 1
                        if refused == 2:  # refused again: the disk is still full; then there is room
                            resource.setrlimit(resource.RLIMIT_FSIZE, before)
                    else:
                        acknowledged.append(wanted[number])
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
            found = read(path)
            if not refused or not same(found.documents, acknowledged) or found.damage or found.torn:
                wrong.append(f"full after {room} bytes: {len(found.documents)} of {len(acknowledged)}, {found.damage}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    return len(content), wrong


def killed(path: Path, seed: int, times: int = 1000) -> Found:
    """Kill a process that writes, and look for all that it said were on the disk; then go on with the same journal."""
    source = np.random.default_rng(seed)
    wrong: list[str] = []
    path.unlink(missing_ok=True)
    Journal(path, new=True).close()
    acknowledged = 0
    for trial in range(times):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(reading)
                with Journal(path) as journal:
                    while True:
                        journal.append("event", {"seq_num": len(journal.contents.documents), "pad": "x" * 300})
                        os.write(writing, b".")
            finally:
                os._exit(1)
        os.close(writing)
        waiting = select.poll()  # which, unlike select, takes any file descriptor
        waiting.register(reading, select.POLLIN)
        waiting.poll(10_000)  # it has begun
        signal.sigtimedwait([], float(source.uniform(0, 2e-3)))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        told = 0
        while part := os.read(reading, 65536):
            told += len(part)
        os.close(reading)
        acknowledged += told
        found = read(path)
        if found.damage or len(found.documents) < acknowledged:
            wrong.append(f"killed {trial + 1} times: {len(found.documents)} of {acknowledged}, {found.damage}")
        acknowledged = len(found.documents)  # one more may have been written than was told
        if acknowledged > 2000:
            path.unlink()
            Journal(path, new=True).close()
            acknowledged = 0
    return times, wrong


def all_faults(folder: Path, seed: int, *, kills: int = 1000) -> Found:
    """Make all of them."""
    path = folder / "faults.jsonl"
    found = [
        cut_at_every_byte(path),
        flipped_bits(path, seed),
        full_at_every_write(path),
        killed(path, seed, kills),
    ]
    return sum(tried for tried, _ in found), [sentence for _, wrong in found for sentence in wrong]


if __name__ == "__main__":
    tried, missed = all_faults(Path(sys.argv[1]), int(sys.argv[2]))
    print(json.dumps({"tried": tried, "missed": missed}))
