# SPDX-License-Identifier: Apache-2.0
"""Renders web pages from a template: `size` rows of readings, sorted, on pages of at most a hundred rows."""

import hashlib
import json
import pathlib
import random
import time

import jinja2

SIZE_MAX = 1_000_000
ROWS_PER_PAGE = 100
PLACES = ["harbour", "hill <north>", "lighthouse", "market & square", "mill", "moor", "quay"]
TEMPLATE = jinja2.Environment(autoescape=True).from_string(pathlib.Path(__file__).with_name("page.html").read_text("utf-8"))


def run(size=1000, seed=1, wait_ms=0):
    """`wait_ms` is what the database takes for the rows of a page: time without work."""
    if not 1 <= size <= SIZE_MAX or not 0 <= wait_ms <= 1000:
        raise ValueError(f"size must be 1 to {SIZE_MAX} and wait_ms 0 to 1000, not {size} and {wait_ms}")
    draw = random.Random(seed)
    digest, length, pages = hashlib.sha256(), 0, 0
    for first in range(0, size, ROWS_PER_PAGE):
        if wait_ms:
            time.sleep(wait_ms / 1000)
        count = min(ROWS_PER_PAGE, size - first)
        rows = [{"place": draw.choice(PLACES), "value": draw.randrange(-400, 400)} for _ in range(count)]
        page = TEMPLATE.render(title=f"Readings from {first + 1}", rows=sorted(rows, key=lambda row: row["value"]))
        digest.update(page.encode())
        length += len(page)
        pages += 1
    return {"size": size, "pages": pages, "bytes": length, "check": digest.hexdigest()[:16]}


def handle(event, context):
    try:
        return run(**json.loads(event.body or b"{}"))
    except (TypeError, ValueError) as error:
        return {"statusCode": 400, "body": f"{error}\n"}
