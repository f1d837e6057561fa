# SPDX-License-Identifier: Apache-2.0
"""Cuts, marks and encodes `size` seconds of video with ffmpeg: scaled down, a moving box drawn in, a watermark laid over."""

import json
import os
import subprocess
import tempfile

SIZE_MAX = 600
PARALLEL_MAX = 16
FRAMES_PER_SECOND = 25
FFMPEG = "/usr/bin/ffmpeg"


def arguments(size, seed, parallel, film):
    """Two outputs of one pass: the film, and the digest of the frames before they are encoded."""
    source = f"testsrc2=size=640x360:rate={FRAMES_PER_SECOND}:duration={size + 1}"
    mark = f"smptebars=size=80x45:rate={FRAMES_PER_SECOND}:duration={size + 1}"
    graph = (
        f"[0:v]trim=start=1:duration={size},setpts=PTS-STARTPTS,scale=480:270:flags=bicubic+accurate_rnd+bitexact,hue=h={seed % 360},"
        f"drawbox=x={seed % 200}:y=40:w=120:h=80:color=white@0.5:t=6[marked];"
        f"[marked][1:v]overlay=x=main_w-overlay_w-8:y=8:shortest=1,format=yuv420p,split[film][digest]"
    )
    common = [FFMPEG, "-nostdin", "-hide_banner", "-loglevel", "error", "-y", "-filter_threads", str(parallel)]
    common += ["-filter_complex_threads", str(parallel), "-f", "lavfi", "-i", source, "-f", "lavfi", "-i", mark]
    encoded = ["-map", "[film]", "-c:v", "libx264", "-preset", "fast", "-threads", str(parallel), "-fflags", "+bitexact", film]
    digested = ["-map", "[digest]", "-c:v", "rawvideo", "-f", "md5", "-"]
    return common + ["-filter_complex", graph] + encoded + digested


def frames(film):
    """How many frames the finished film has, its width and its height."""
    wanted = "stream=nb_read_packets,width,height"
    said = subprocess.run(
        ["/usr/bin/ffprobe", "-v", "error", "-count_packets", "-select_streams", "v:0", "-show_entries", wanted, "-of", "json", film],
        capture_output=True, text=True, check=True)
    stream = json.loads(said.stdout)["streams"][0]
    return int(stream["nb_read_packets"]), stream["width"], stream["height"]


def run(size=2, seed=1, parallel=1):
    if not 1 <= size <= SIZE_MAX or not 1 <= parallel <= PARALLEL_MAX or not 0 <= seed <= 1 << 53:
        raise ValueError(f"size must be 1 to {SIZE_MAX} and parallel 1 to {PARALLEL_MAX}, not {size} and {parallel}")
    with tempfile.TemporaryDirectory() as folder:
        film = os.path.join(folder, "film.mp4")
        done = subprocess.run(arguments(size, seed, parallel, film), capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"ffmpeg ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        count, width, height = frames(film)
        return {
            "size": size, "frames": count, "width": width, "height": height, "bytes": os.path.getsize(film),
            "check": done.stdout.strip().removeprefix("MD5=")[:16],
        }


def handle(event, context):
    try:
        return run(**json.loads(event.body or b"{}"))
    except (TypeError, ValueError) as error:
        return {"statusCode": 400, "body": f"{error}\n"}
