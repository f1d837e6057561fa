# SPDX-License-Identifier: Apache-2.0
"""nginx as the yardstick: a plain reverse proxy with kept-alive connections to the function."""

import os
import shutil

from . import BenchError, processes

CONFIGURATION = """
daemon off;
worker_processes 2;
pid {work}/nginx.pid;
error_log {work}/nginx.log warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {work}/nginx-tmp;
    proxy_temp_path {work}/nginx-tmp;
    fastcgi_temp_path {work}/nginx-tmp;
    uwsgi_temp_path {work}/nginx-tmp;
    scgi_temp_path {work}/nginx-tmp;
    keepalive_requests 1000000000;
    upstream function {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ proxy_pass http://function; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
}}
"""


def binary(work):
    """The installed nginx, or Debian's package unpacked into the work directory: nothing is installed and nothing autostarts."""
    found = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if found:
        return found
    unpacked = work / "nginx-package"
    unpacked.mkdir(exist_ok=True)
    try:
        processes.run(["apt-get", "download", "nginx"], "downloading nginx", cwd=unpacked)
    except BenchError as error:
        raise BenchError(f"nginx is not installed and cannot be fetched; install it with: apt-get install nginx-light ({error})") from error
    for package in unpacked.glob("*.deb"):
        processes.run(["dpkg-deb", "-x", package, unpacked], "unpacking nginx")
    return unpacked / "usr/sbin/nginx"


def start(owner, upstream):
    """Starts nginx in front of a port and returns its own port."""
    port = processes.free_port()
    (owner.work / "nginx-tmp").mkdir(exist_ok=True)
    configuration = owner.work / "nginx.conf"
    text = CONFIGURATION.format(work=owner.work, upstream=upstream, port=port)
    if os.geteuid() == 0:
        text = "user root;\n" + text
    configuration.write_text(text)
    process = owner.start("nginx", [binary(owner.work), "-p", owner.work, "-c", configuration])
    owner.wait_for_port(process, port)
    return port
