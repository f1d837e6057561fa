# SPDX-License-Identifier: Apache-2.0
"""Writes `size` e-mails as they go to a mail server: headers, an encoded body of some 500 characters, an HTML alternative."""

import email.message
import email.policy
import hashlib
import json
import random
import time

SIZE_MAX = 200_000
MAILS_PER_BATCH = 5
BODY_CHARACTERS = 500
NAMES = ["Ada", "Chloë", "Émile", "Hedy", "Jürgen", "Katherine", "Łukasz", "Noor", "Søren", "Yuki"]
WORDS = (
    "amount arrears balance bill booking credit customer date delivery discount due giro invoice ledger net note offer order "
    "parcel payment prompt receipt refund reminder shipment statement sum tax thanks total transfer voucher"
).split()


def mail(draw, number):
    name = draw.choice(NAMES)
    words, length = [], 0
    while length < BODY_CHARACTERS:
        words.append(draw.choice(WORDS))
        length += len(words[-1]) + 1
    text = " ".join(words)
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message["From"] = "billing@example.org"
    message["To"] = f"{name} <customer{number}@example.org>"
    message["Subject"] = f"Reminder {number} for {name}"
    message["Message-ID"] = f"<{number}.{draw.getrandbits(64):016x}@example.org>"
    message.set_content(f"Dear {name},\n\n{text}\n")
    message.add_alternative(f"<p>Dear {name},</p><p>{text}</p>", subtype="html")
    message.set_boundary(f"part-{number}")
    return message.as_bytes()


def run(size=200, seed=1, wait_ms=0):
    """`wait_ms` is what the mail server takes for a batch: time without work."""
    if not 1 <= size <= SIZE_MAX or not 0 <= wait_ms <= 1000:
        raise ValueError(f"size must be 1 to {SIZE_MAX} and wait_ms 0 to 1000, not {size} and {wait_ms}")
    draw = random.Random(seed)
    outbox = []
    for number in range(size):
        if wait_ms and number % MAILS_PER_BATCH == 0:
            time.sleep(wait_ms / 1000)
        outbox.append(mail(draw, number))
    digest = hashlib.sha256(b"".join(outbox))
    return {"size": size, "bytes": sum(map(len, outbox)), "check": digest.hexdigest()[:16]}


def handle(event, context):
    try:
        return run(**json.loads(event.body or b"{}"))
    except (TypeError, ValueError) as error:
        return {"statusCode": 400, "body": f"{error}\n"}
