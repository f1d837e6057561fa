# SPDX-License-Identifier: Apache-2.0
"""Draws a walk along `size` bases of DNA as SVG: purines step up, pyrimidines down, weak and strong pairs differ in width.

The sequence comes with the request (`bases`, FASTA or plain) or is drawn from the seed.
"""

import hashlib
import json
import random

SIZE_MAX = 20_000_000
# Points of the drawing at most: a screen shows no more, and the walk between two of them is drawn as its extremes.
POINTS_MAX = 2000
STEPS = {"A": (1.0, 1), "G": (1.5, 1), "C": (1.5, -1), "T": (1.0, -1), "U": (1.0, -1)}


def sequence(size, seed):
    """Bases with the rhythm of a gene: runs in which one half of the alphabet prevails."""
    draw = random.Random(seed)
    pieces, length = [], 0
    while length < size:
        piece = "".join(draw.choices("ACGT", weights=(3, 2, 2, 3) if draw.random() < 0.5 else (2, 3, 3, 2), k=200))
        pieces.append(piece)
        length += len(piece)
    return "".join(pieces)[:size]


def walk(bases):
    """The points of the walk; letters that are no base are skipped and counted."""
    xs, ys, x, y, skipped = [0.0], [0], 0.0, 0, 0
    for base in bases:
        step = STEPS.get(base)
        if step is None:
            skipped += 1
            continue
        x += step[0]
        y += step[1]
        xs.append(x)
        ys.append(y)
    return xs, ys, skipped


def thinned(xs, ys):
    """At most `POINTS_MAX` points: of each stretch its lowest and its highest."""
    if len(xs) <= POINTS_MAX:
        return list(zip(xs, ys))
    stretches = POINTS_MAX // 2
    points = []
    for part in range(stretches):
        first, last = part * len(xs) // stretches, (part + 1) * len(xs) // stretches
        low = min(range(first, last), key=ys.__getitem__)
        high = max(range(first, last), key=ys.__getitem__)
        points += [(xs[index], ys[index]) for index in sorted({low, high})]
    return points


def drawing(points):
    width, low, high = max(points)[0], min(y for _, y in points), max(y for _, y in points)
    line = " ".join(f"{x:g},{high - y:g}" for x, y in points)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {max(width, 1):g} {max(high - low, 1):g}" preserveAspectRatio="none">'
        f'<polyline fill="none" stroke="#036" vector-effect="non-scaling-stroke" points="{line}"/></svg>'
    )


def run(size=50_000, seed=1, bases=None, svg=False):
    if bases is None:
        if not 1 <= size <= SIZE_MAX:
            raise ValueError(f"size must be 1 to {SIZE_MAX}, not {size}")
        bases = sequence(size, seed)
    else:
        bases = "".join(line.strip() for line in bases.splitlines() if not line.startswith(">")).upper()
        if not 1 <= len(bases) <= SIZE_MAX:
            raise ValueError(f"there must be 1 to {SIZE_MAX} bases, not {len(bases)}")
    xs, ys, skipped = walk(bases)
    image = drawing(thinned(xs, ys))
    said = {
        "size": len(bases), "end": [xs[-1], ys[-1]], "skipped": skipped, "bytes": len(image),
        "check": hashlib.sha256(image.encode()).hexdigest()[:16],
    }
    return said | ({"svg": image} if svg else {})


def handle(event, context):
    try:
        return run(**json.loads(event.body or b"{}"))
    except (TypeError, ValueError) as error:
        return {"statusCode": 400, "body": f"{error}\n"}
