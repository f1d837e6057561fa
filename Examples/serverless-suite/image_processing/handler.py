# SPDX-License-Identifier: Apache-2.0
"""Makes `size` thumbnails of a photograph-sized picture: decode, scale down, sharpen, encode. `parallel` threads work on them."""

import concurrent.futures
import hashlib
import io
import json
import random

from PIL import Image, ImageDraw, ImageFilter

SIZE_MAX = 10_000
PARALLEL_MAX = 64
PICTURE = (1600, 1200)
THUMBNAIL = (320, 320)


def picture(seed):
    """A picture of coloured shapes on a gradient, as JPEG."""
    draw = random.Random(seed)
    image = Image.linear_gradient("L").resize(PICTURE).convert("RGB")
    canvas = ImageDraw.Draw(image)
    for _ in range(60):
        x, y, radius = draw.randrange(PICTURE[0]), draw.randrange(PICTURE[1]), draw.randrange(20, 200)
        canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(draw.randrange(256) for _ in range(3)))
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=90)
    return jpeg.getvalue()


def thumbnail(jpeg, turn):
    """One thumbnail, turned by `turn` quarters, as its pixels and its length when encoded."""
    image = Image.open(io.BytesIO(jpeg)).rotate(90 * turn, expand=True)
    # `thumbnail` would let the decoder skip most of the picture; `resize` reads all of it, as a crop or a filter does.
    scale = min(THUMBNAIL[0] / image.width, THUMBNAIL[1] / image.height)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    image = image.filter(ImageFilter.UnsharpMask(2))
    encoded = io.BytesIO()
    image.save(encoded, "PNG")
    return image.size, image.tobytes(), encoded.tell()


def run(size=4, seed=1, parallel=1):
    if not 1 <= size <= SIZE_MAX or not 1 <= parallel <= PARALLEL_MAX:
        raise ValueError(f"size must be 1 to {SIZE_MAX} and parallel 1 to {PARALLEL_MAX}, not {size} and {parallel}")
    jpeg = picture(seed)
    digest, length, last = hashlib.sha256(), 0, None
    with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
        for last, pixels, encoded in pool.map(lambda turn: thumbnail(jpeg, turn % 4), range(size)):
            digest.update(pixels)
            length += encoded
    return {"size": size, "last": last, "bytes": length, "check": digest.hexdigest()[:16]}


def handle(event, context):
    try:
        return run(**json.loads(event.body or b"{}"))
    except (TypeError, ValueError) as error:
        return {"statusCode": 400, "body": f"{error}\n"}
