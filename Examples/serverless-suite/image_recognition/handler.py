# SPDX-License-Identifier: Apache-2.0
"""Reads the signs on `size` pictures with a neural network.

The networks are PP-OCRv4's: one finds where text stands, one reads it. Their weights are inside the package rapidocr-onnxruntime. How much
there is to read follows from the seed, not from the size alone, so that equal sizes ask for unequal work.
"""

import functools
import hashlib
import json
import random

import numpy
from PIL import Image, ImageDraw, ImageFont
from rapidocr_onnxruntime import RapidOCR

SIZE_MAX = 1000
PARALLEL_MAX = 16
WORDS = "BRIDGE CASTLE FERRY GARDEN HARBOUR ISLAND LIBRARY MARKET MUSEUM RIVER STATION THEATRE TOWER VILLAGE WINDMILL".split()
PICTURE = (480, 270)


@functools.cache
def engine(parallel):
    """The networks, loaded once per number of threads."""
    return RapidOCR(use_cls=False, det_limit_side_len=480, det_limit_type="max", intra_op_num_threads=parallel)


def picture(draw):
    """A picture with one to four signs, and what they say from top to bottom."""
    image = Image.new("RGB", PICTURE, tuple(draw.randrange(170, 230) for _ in range(3)))
    canvas = ImageDraw.Draw(image)
    signs = []
    for row in range(draw.randint(1, 4)):
        text = f"{draw.choice(WORDS)} {draw.randrange(100, 1000)}"
        font = ImageFont.load_default(draw.randrange(24, 34))
        left, top = draw.randrange(12, 120), 14 + 64 * row
        box = canvas.textbbox((left, top), text, font=font)
        canvas.rectangle((box[0] - 8, box[1] - 8, box[2] + 8, box[3] + 8), fill="white", outline="navy", width=2)
        canvas.text((left, top), text, font=font, fill="navy")
        signs.append(text)
    return numpy.asarray(image), signs


def read(pixels, parallel):
    """What the networks read, from top to bottom."""
    found, _ = engine(parallel)(pixels, use_cls=False)
    lines = sorted((min(corner[1] for corner in box), text) for box, text, _ in found or [])
    return [text for _, text in lines]


def run(size=1, seed=1, parallel=1):
    if not 1 <= size <= SIZE_MAX or not 1 <= parallel <= PARALLEL_MAX:
        raise ValueError(f"size must be 1 to {SIZE_MAX} and parallel 1 to {PARALLEL_MAX}, not {size} and {parallel}")
    draw = random.Random(seed)
    texts, signs, right = [], 0, 0
    for _ in range(size):
        pixels, written = picture(draw)
        texts.append(read(pixels, parallel))
        signs += len(written)
        # The networks do not tell how wide a gap is: the words count, not the blanks between them.
        seen = {text.replace(" ", "") for text in texts[-1]}
        right += sum(text.replace(" ", "") in seen for text in written)
    said = "\n".join(text.replace(" ", "") for text in sum(texts, []))
    return {"size": size, "signs": signs, "right": right, "first": texts[0], "check": hashlib.sha256(said.encode()).hexdigest()[:16]}


def handle(event, context):
    try:
        return run(**json.loads(event.body or b"{}"))
    except (TypeError, ValueError) as error:
        return {"statusCode": 400, "body": f"{error}\n"}
