# SPDX-License-Identifier: Apache-2.0
"""A guest book that every node can write in, also while the nodes cannot reach each other.

    brume deploy guestbook --handler Examples/guestbook/handler.py
    echo 'Ann: what a view' | brume invoke guestbook
"""
import json

import brume

state = brume.state()


def handle(event, context):
    entry = event.body.decode().strip()
    if entry:
        name = entry.partition(":")[0]
        with state.atomically() as batch:
            batch.list("entries").append(entry)
            batch.set("guests").add(name)
            batch.counter("visits").add()
    return json.dumps({
        "visits": state.counter("visits").value,
        "guests": sorted(state.set("guests")),
        "latest": state.list("entries")[-5:],
    })
