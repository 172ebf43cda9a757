"""A real HTTP server in OpenAI's chat protocol, which misbehaves where a test asks it to."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Fault:
    """One way to misbehave."""

    status: int = 200
    retry_after_s: float | None = 0.01
    """Header of a refusal; the client would wait half a second and longer by itself."""
    code: str | None = None
    param: str | None = None
    hang_s: float = 0.0
    """Wait before anything is sent."""
    cut: bool = False
    """End the body in the middle of its JSON."""
    drop: bool = False
    """Close the connection without a word."""
    body: str | None = None
    """Sent in place of a completion."""


@dataclass(frozen=True)
class Said:
    """A completion that says more than its text."""

    text: str
    finish: str = "stop"
    usage: bool = True


Answer = Callable[[list[dict[str, str]]], "str | Said | Fault"]


@dataclass
class ChatServer:
    """What a test sees of the server."""

    url: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    """Bodies in the order they came."""
    keys: list[str] = field(default_factory=list)
    """Authorization headers."""


@contextmanager
def serve(answer: Answer) -> Iterator[ChatServer]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            sent = self.rfile.read(length)
            if len(sent) < length:
                return  # the client was killed
            body = json.loads(sent)
            with lock:
                told.requests.append(body)
                told.keys.append(self.headers.get("Authorization", ""))
                said = answer(body["messages"])
            if isinstance(said, Fault):
                self.misbehave(said)
            else:
                self.send(200, completion(said if isinstance(said, Said) else Said(said), body))

        def misbehave(self, fault: Fault) -> None:
            time.sleep(fault.hang_s)
            if fault.drop:
                self.connection.close()
            elif fault.cut:
                self.send(200, completion(Said("half a reply"), {"model": "m", "messages": []})[:40])
            elif fault.body is not None:
                self.send(fault.status, fault.body)
            elif fault.status != 200:
                error = {"message": f"as asked: {fault.status}", "code": fault.code, "param": fault.param}
                self.send(fault.status, json.dumps({"error": error}), retry_after_s=fault.retry_after_s)
            else:
                self.send(200, completion(Said("late"), {"model": "m", "messages": []}))

        def send(self, status: int, body: str, *, retry_after_s: float | None = None) -> None:
            sent = body.encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(sent)))
                if retry_after_s is not None:
                    self.send_header("Retry-After", str(retry_after_s))
                self.end_headers()
                self.wfile.write(sent)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client did not wait

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told = ChatServer(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def completion(said: Said, body: dict[str, Any]) -> str:
    n_prompt = sum(len(message["content"].split()) for message in body["messages"])
    usage = {"prompt_tokens": n_prompt, "completion_tokens": len(said.text.split())}
    message = {"role": "assistant", "content": said.text}
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": said.finish}],
            **({"usage": usage | {"total_tokens": sum(usage.values())}} if said.usage else {}),
        }
    )
