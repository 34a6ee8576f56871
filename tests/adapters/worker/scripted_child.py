"""A child that does as it is told: `scripted_child.py <start> <frames> <beats> <parent>`.

`start` is what it does before it says hello; then the first input of each call is what it does
with that. What is not in the tables is answered well: with the word itself.
"""

import json
import os
import signal
import socket
import struct
import sys
import time
import zlib
from collections.abc import Callable, Mapping
from typing import Any

NOTHING = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "lm_calls": 0}


class Frames:
    """The child's end of the frames."""

    def __init__(self, descriptor: int) -> None:
        self.socket = socket.socket(fileno=descriptor)
        self.held: list[int] = []
        self.limits: list[int] = []
        self.slow: list[int] = []

    def read(self) -> dict[str, Any]:
        """Give the next message; the end of all where there is none."""
        length, _ = struct.unpack("!II", self._exactly(8))
        message: dict[str, Any] = json.loads(self._exactly(length))
        return message

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                sys.exit(0)
            data += piece
        return data

    def raw(self, payload: bytes, length: int | None = None) -> None:
        """Write a payload under its length, or another."""
        told = len(payload) if length is None else length
        self.socket.sendall(struct.pack("!II", told, zlib.crc32(payload)) + payload)

    def send(self, kind: str, **message: Any) -> None:
        """Write a message."""
        self.raw(json.dumps({"kind": kind, **message}).encode())

    def failure(self, message_id: int, error_type: str, usage: Mapping[str, int]) -> None:
        """Answer that something went wrong."""
        said: dict[str, Any] = {"context": {}, "retry_after": None, "raw_output": None}
        self.send("failure", id=message_id, type=error_type, message="no luck", usage=usage, **said)

    def result(self, message_id: int, answer: str, **more: Any) -> None:
        """Answer a call well."""
        usage = {**NOTHING, "lm_calls": 1}
        said = {"outputs": {"answer": answer}, "raw_output": None, "usage": usage, "details": None}
        self.send("result", id=message_id, **said, **more)


def die(*_: Any) -> None:
    """End by a fault of memory."""
    os.kill(os.getpid(), signal.SIGSEGV)


def complain(*_: Any) -> None:
    """Write to both standard streams, a secret too, and end."""
    sys.stdout.write("this goes to the log\n")
    sys.stderr.write("token sk-very-secret, said \x00 and \x1b[31m\n")
    sys.exit(3)


def sleep(*_: Any) -> None:
    """Do nothing for long, whatever is asked meanwhile."""
    time.sleep(600)


def close(frames: Frames, *_: Any) -> None:
    """Close the frames, and go on."""
    frames.socket.close()
    time.sleep(600)


def ignore_sigterm(*_: Any) -> None:
    """Hang, and hear no SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)


def leave_a_grandchild(frames: Frames, message: Mapping[str, Any]) -> None:
    """End, but leave a process that holds everything open."""
    if os.fork() == 0:
        time.sleep(600)
    frames.result(message["id"], "left")
    time.sleep(0.05)
    os._exit(0)


def half_a_frame(frames: Frames, _: Mapping[str, Any]) -> None:
    """End in the middle of an answer."""
    frames.raw(b"{", length=100)
    os._exit(0)


def answer_twice(frames: Frames, message: Mapping[str, Any]) -> None:
    """Answer, and again."""
    frames.result(message["id"], "x")
    frames.result(message["id"], "x")


def flood_of_frames(frames: Frames, _: Mapping[str, Any]) -> None:
    """Say more than anybody wants to hear, about calls of a model."""
    while True:
        spend(frames, 1, "main")


def flood_of_text(*_: Any) -> None:
    """Print 200 MB on both streams, in one line each, and end."""
    for _number in range(200):
        os.write(1, b"x" * 1_000_000)
        os.write(2, b"y" * 1_000_000)
    os._exit(1)


def endless_frame(frames: Frames, _: Mapping[str, Any]) -> None:
    """Begin the longest answer, and give a little of it at a time."""
    frames.raw(b"{" * 1_000_000, length=32 * 1024 * 1024)
    for _number in range(30):
        frames.socket.sendall(b"{" * 1_000_000)
    time.sleep(600)


def release(frames: Frames, message: Mapping[str, Any]) -> None:
    """Answer all calls that are held, then this one."""
    for message_id in (*frames.held, message["id"]):
        frames.result(message_id, "released")
    frames.held.clear()


def spend(frames: Frames, message_id: int, lm: str) -> None:
    """Tell of a call of an LM."""
    tokens = {"prompt_tokens": 5, "completion_tokens": 7}
    frames.send("spent", id=message_id, lm=lm, outcome="success", **tokens)


def spend_and_die(frames: Frames, message: Mapping[str, Any]) -> None:
    """Ask an LM twice, for nobody the third time, and end."""
    for message_id in (message["id"], message["id"], 1):
        spend(frames, message_id, "main")
    os._exit(1)


ON_START: Mapping[str, Callable[[Frames], Any]] = {
    "exit": lambda _: sys.exit(0),
    "die": die,
    "complain": complain,
    "hang": sleep,
    "close": close,
}

ON_CALL: Mapping[str, Callable[[Frames, dict[str, Any]], Any]] = {
    "exit": lambda *_: sys.exit(0),
    "_exit": lambda *_: os._exit(7),
    "kill": lambda *_: os.kill(os.getpid(), signal.SIGKILL),
    "die": die,
    "complain": complain,
    "half a frame": half_a_frame,
    "garbage": lambda frames, _: frames.socket.sendall(b"print(1)\n" * 10),
    "huge length": lambda frames, _: frames.raw(b"{}", length=2**32 - 1),
    "bad utf-8": lambda frames, _: frames.raw(b'{"kind": "\xff"}'),
    "not json": lambda frames, _: frames.raw(b"{'kind': 1}"),
    "too deep": lambda frames, _: frames.raw(b"[" * 100 + b"]" * 100),
    "unknown kind": lambda frames, message: frames.send("whatever", id=message["id"]),
    "unknown member": lambda frames, message: frames.result(message["id"], "x", more=1),
    "unknown id": lambda frames, message: frames.result(message["id"] + 1, "x"),
    "doubled answer": answer_twice,
    "another answer": lambda frames, message: frames.send("prepared", id=message["id"]),
    "second hello": lambda frames, _: frames.send("hello"),
    "unknown lm": lambda frames, message: spend(frames, message["id"], "x"),
    "negative usage": lambda frames, message: frames.failure(
        message["id"], "timeout", {**NOTHING, "lm_calls": -1}
    ),
    "close": close,
    "hang": sleep,
    "ignore sigterm": ignore_sigterm,
    "freeze": lambda *_: os.kill(os.getpid(), signal.SIGSTOP),
    "leave a grandchild": leave_a_grandchild,
    "flood of frames": flood_of_frames,
    "flood of text": flood_of_text,
    "endless frame": endless_frame,
    "hold": lambda frames, message: frames.held.append(message["id"]),
    "release": release,
    "limits": lambda frames, message: frames.result(message["id"], json.dumps(frames.limits)),
    "slow to stop": lambda frames, message: frames.slow.append(message["id"]),
    "pid": lambda frames, message: frames.result(message["id"], str(os.getpid())),
    "spend and die": spend_and_die,
    "trace": lambda frames, message: frames.result(message["id"], "x", trace=[{"lm": "main"}]),
}


def main() -> None:
    """Say hello, unless told otherwise, and answer."""
    start, descriptor, beats = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    frames = Frames(descriptor)
    assert frames.read()["kind"] == "start"
    if start in ON_START:
        ON_START[start](frames)
    frames.send("hello")
    while True:
        os.write(beats, b".")
        answer(frames, frames.read(), start)


def answer(frames: Frames, message: dict[str, Any], start: str) -> None:
    """Do what a message asks for."""
    match message:
        case {"kind": "prepare", "id": int(number)}:
            behave = ON_CALL.get(start.removeprefix("prepare: "))
            if behave is None:
                frames.send("prepared", id=number)
            else:
                behave(frames, message)
        case {"kind": "ping", "id": int(number)}:
            error = "the model is away" if start == "ill" else None
            frames.send("pong", id=number, healthy=not error, latency_ms=0.1, error=error)
        case {"kind": "execute", "id": int(number), "inputs": {"question": str(word)}}:
            behave = ON_CALL.get(word)
            if behave is None:
                frames.result(number, word)
            else:
                behave(frames, message)
        case {"kind": "limit", "lms": {"main": {"max_concurrency": int(most)}}}:
            frames.limits.append(most)
        case {"kind": "cancel", "id": int(number)}:
            if number in frames.slow:
                time.sleep(0.6)
            if number in frames.held:
                frames.held.remove(number)
            frames.failure(number, "cancelled", {**NOTHING, "lm_calls": 3})
        case _:
            pass  # programs that it is to hold


if __name__ == "__main__":
    main()
