# SPDX-License-Identifier: Apache-2.0
"""Any HTTP server is a function: it listens on $PORT and answers."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave in one packet

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        name = self.rfile.read(length).decode("utf-8", "replace").strip() or "nobody"
        body = f"Hello, {name}! You said {self.command} {self.path}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, format, *arguments):
        print(f"{self.command} {self.path}", flush=True)


ThreadingHTTPServer(("", int(os.environ["PORT"])), Hello).serve_forever()
