# SPDX-License-Identifier: Apache-2.0
"""A thumbnail of a photograph, or, where JSON is accepted, what there is to say about it."""

import io
import json

from PIL import Image, ImageOps

WIDTH_MAX = 2048  # a wider thumbnail is no thumbnail, and costs the sandbox its memory


def handle(event, context):
    width = min(int(event.query.get("width", "160")), WIDTH_MAX)
    photo = ImageOps.exif_transpose(Image.open(io.BytesIO(event.body))).convert("RGB")
    if "json" in (event.headers.get("Accept") or event.headers.get("accept") or ""):
        return facts(photo)
    photo.thumbnail((width, width), Image.LANCZOS)
    jpeg = io.BytesIO()
    photo.save(jpeg, "JPEG", quality=85)
    return {"statusCode": 200, "headers": {"Content-Type": "image/jpeg"}, "body": jpeg.getvalue()}


def facts(photo):
    mean = photo.resize((1, 1), Image.BOX).getpixel((0, 0))
    said = {"width": photo.width, "height": photo.height, "mean": "#%02x%02x%02x" % mean}
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(said)}
