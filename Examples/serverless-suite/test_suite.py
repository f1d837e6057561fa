# SPDX-License-Identifier: Apache-2.0
"""Every function against answers that are known or found another way: /usr/bin/python3 test_suite.py

With BRUME_URL in the environment the calls go to a node at that address, to which stack.yml has been deployed.
"""

import functools
import hashlib
import heapq
import html.parser
import importlib.util
import io
import json
import os
import pathlib
import random
import sys
import types
import unittest
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / ".build/packages"))


@functools.cache
def module(name):
    spec = importlib.util.spec_from_file_location(f"suite_{name}", HERE / name / "handler.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def answer(name, body):
    """Status and body of what the handler answers, here or on the node."""
    if url := os.environ.get("BRUME_URL"):
        try:
            with urllib.request.urlopen(f"{url}/function/{name.replace('_', '-')}", body, timeout=120) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
    result = module(name).handle(types.SimpleNamespace(body=body), None)
    return (result["statusCode"], result["body"]) if "statusCode" in result else (200, json.dumps(result))


def call(name, **ask):
    """What the function says for this input."""
    status, text = answer(name, json.dumps(ask).encode())
    if status != 200:
        raise AssertionError(f"{name} answered {status}: {text}")
    return json.loads(text)


FUNCTIONS = sorted(path.parent.name for path in HERE.glob("*/handler.py"))
# A size that takes little time, for what is tried with every function.
SMALL = {
    "arithmetic": 1000, "dna_visualization": 1000, "dynamic_html": 150, "email_generation": 30, "gradient_descent": 20, "graph_bfs": 100,
    "graph_mst": 100, "graph_pagerank": 100, "image_processing": 2, "image_recognition": 1, "k_nearest_neighbors": 200, "merge_sort": 500,
    "video_processing": 1,
}
PARALLEL = [
    "arithmetic", "gradient_descent", "image_processing", "image_recognition", "k_nearest_neighbors", "merge_sort", "video_processing",
]


class EveryFunction(unittest.TestCase):
    def test_there_are_thirteen_and_each_has_its_small_size(self):
        self.assertEqual(FUNCTIONS, sorted(SMALL))

    def test_equal_input_gives_equal_output_and_another_seed_another(self):
        for name in FUNCTIONS:
            with self.subTest(name):
                first, second = (call(name, size=SMALL[name], seed=7) for _ in range(2))
                self.assertEqual(first, second)
                self.assertEqual(first["size"], SMALL[name])
                self.assertNotEqual(first["check"], call(name, size=SMALL[name], seed=8)["check"])

    def test_parallel_work_gives_the_same_result(self):
        for name in PARALLEL:
            with self.subTest(name):
                answers = [call(name, size=SMALL[name], seed=7, parallel=threads)["check"] for threads in (1, 2, 3)]
                self.assertEqual(len(set(answers)), 1, answers)

    def test_an_empty_body_asks_for_the_usual_size(self):
        self.assertEqual(json.loads(answer("arithmetic", b"")[1])["size"], 100_000)

    def test_bad_input_is_answered_with_400_and_a_sentence(self):
        bad = [b'{"size": 0}', b'{"size": -5}', b'{"size": 1e99}', b'{"size": "many"}', b'{"sise": 3}', b"[1]", b"no JSON"]
        for name in FUNCTIONS:
            for body in bad:
                with self.subTest(name, body=body):
                    status, text = answer(name, body)
                    self.assertEqual(status, 400, text)
                    self.assertTrue(text.strip())


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.rows, self.places = 0, set()

    def handle_starttag(self, tag, attributes):
        self.rows += tag == "tr"

    def handle_data(self, data):
        if data in module("dynamic_html").PLACES:
            self.places.add(data)


class Documents(unittest.TestCase):
    def test_the_page_has_its_rows_and_escapes_what_is_no_markup(self):
        rows = [{"place": place, "value": value} for value, place in enumerate(module("dynamic_html").PLACES)]
        text = module("dynamic_html").TEMPLATE.render(title="T", rows=rows)
        page = Page()
        page.feed(text)
        self.assertEqual(page.rows, len(rows))
        self.assertEqual(page.places, set(module("dynamic_html").PLACES))
        self.assertIn("hill &lt;north&gt;", text)
        self.assertIn("the lowest 0, the highest 6", text)

    def test_a_hundred_rows_make_a_page(self):
        self.assertEqual([call("dynamic_html", size=size)["pages"] for size in (1, 100, 101, 1000)], [1, 1, 2, 10])

    def test_the_mails_can_be_read_back(self):
        import email.policy

        written = module("email_generation").mail(random.Random(3), 17)
        read = email.message_from_bytes(written, policy=email.policy.default)
        self.assertIn("Reminder 17 for", read["Subject"])
        self.assertEqual([part.get_content_type() for part in read.walk()], ["multipart/alternative", "text/plain", "text/html"])
        self.assertIn("Dear ", read.get_body(("plain",)).get_content())
        self.assertEqual(written.count(b"\n"), written.count(b"\r\n"))

    def test_twice_the_mails_are_twice_the_bytes(self):
        once, twice = (call("email_generation", size=size)["bytes"] for size in (100, 200))
        self.assertAlmostEqual(twice / once, 2, delta=0.03)


class Pictures(unittest.TestCase):
    def test_thumbnails_keep_the_proportions_and_turn_with_the_picture(self):
        self.assertEqual(call("image_processing", size=1)["last"], [320, 240])
        self.assertEqual(call("image_processing", size=2)["last"], [240, 320])

    def test_a_thumbnail_shows_what_the_picture_shows(self):
        from PIL import Image

        jpeg = module("image_processing").picture(5)
        size, pixels, _ = module("image_processing").thumbnail(jpeg, 0)
        small = Image.frombytes("RGB", size, pixels).resize((8, 6), Image.Resampling.BOX)
        large = Image.open(io.BytesIO(jpeg)).resize((8, 6), Image.Resampling.BOX)
        for ours, theirs in zip(small.tobytes(), large.tobytes()):
            self.assertAlmostEqual(ours, theirs, delta=12)

    def test_the_film_has_all_its_frames(self):
        said = call("video_processing", size=2)
        self.assertEqual((said["frames"], said["width"], said["height"]), (50, 480, 270))
        self.assertGreater(said["bytes"], 10_000)

    def test_the_networks_read_what_the_signs_say(self):
        answers = [call("image_recognition", size=4, seed=seed) for seed in range(3)]
        signs, right = sum(said["signs"] for said in answers), sum(said["right"] for said in answers)
        self.assertGreaterEqual(signs, 12)
        self.assertGreaterEqual(right / signs, 0.9, answers)


class Numbers(unittest.TestCase):
    def test_arithmetic_is_the_sum_of_the_same_terms(self):
        def term(i, s):
            a, b = i + s, 3 * i - (i + s)
            return a - b + a * b + (a * b) // (i + 1)

        expected = sum(term(i, 9) for i in range(5000)) % ((1 << 61) - 1)
        self.assertEqual(call("arithmetic", size=5000, seed=9)["check"], expected)

    def test_merge_sort_sorts_as_python_does(self):
        import array

        for size in (1, 2, 3, 1000, 1023):
            draw = random.Random(4)
            numbers = sorted(draw.getrandbits(40) for _ in range(size))
            said = call("merge_sort", size=size, seed=4, parallel=2 if size > 2 else 1)
            self.assertEqual(said["check"], hashlib.sha256(array.array("q", numbers).tobytes()).hexdigest()[:16])
            self.assertEqual((said["lowest"], said["highest"]), (numbers[0], numbers[-1]))

    def test_descent_finds_the_line_down_to_the_noise(self):
        said = call("gradient_descent", size=400)
        self.assertLess(said["distance"], 0.02)
        # The noise has a deviation of 0.1, so no fit leaves much less than 0.01.
        self.assertAlmostEqual(said["errors"][said["best"]], 0.01, delta=0.001)
        self.assertGreater(call("gradient_descent", size=5)["errors"]["adam"], 1)

    def test_neighbours_tell_the_class_and_agree_with_a_full_search(self):
        import numpy

        said = call("k_nearest_neighbors", size=1000)
        self.assertGreater(said["right"], 900)
        draw = numpy.random.Generator(numpy.random.PCG64(2))
        known, points, labels = draw.normal(0, 1, (300, 4)), draw.normal(0, 1, (50, 4)), draw.integers(0, 5, 300)
        found = module("k_nearest_neighbors").classify(points, known, labels, 3)
        for point, label in zip(points, found):
            nearest = sorted(range(300), key=lambda index: ((known[index] - point) ** 2).sum())[:3]
            votes = [sum(labels[index] == kind for index in nearest) for kind in range(5)]
            self.assertEqual(label, votes.index(max(votes)))

    def test_the_walk_follows_the_bases(self):
        said = call("dna_visualization", bases=">gene 1\nAGCT\nnnga\n", svg=True)
        self.assertEqual((said["end"], said["skipped"], said["size"]), ([7.5, 2], 2, 8))
        self.assertIn('points="0,2 1,1 2.5,0 4,1 5,2 6.5,1 7.5,0"', said["svg"])
        self.assertLess(call("dna_visualization", size=200_000)["bytes"], 60_000)


class Graphs(unittest.TestCase):
    def test_pagerank_of_a_small_web_is_the_known_one(self):
        # Pages 1 to 3 link to page 0, which links to page 1: solved by hand.
        rank, _ = module("graph_pagerank").ranks([[1], [0], [0], [0]])
        loose = 0.15 / 4
        first = (loose * (1 + 0.85 + 2 * 0.85)) / (1 - 0.85**2)
        for ours, known in zip(rank, [first, loose + 0.85 * first, loose, loose]):
            self.assertAlmostEqual(ours, known, places=7)

    def test_ranks_add_up_to_one_with_pages_that_link_nowhere(self):
        self.assertEqual(call("graph_pagerank", size=500)["sum"], 1)

    def test_the_tree_is_as_light_as_prims(self):
        for seed in range(5):
            edges = module("graph_mst").graph(300, seed, 3)
            near = [[] for _ in range(300)]
            for weight, one, other in edges:
                near[one].append((weight, other))
                near[other].append((weight, one))
            seen, total, heap = {0}, 0, list(near[0])
            heapq.heapify(heap)
            while len(seen) < 300:
                weight, node = heapq.heappop(heap)
                if node not in seen:
                    seen.add(node)
                    total += weight
                    for edge in near[node]:
                        heapq.heappush(heap, edge)
            said = call("graph_mst", size=300, seed=seed, degree=3)
            self.assertEqual((said["edges"], said["check"]), (299, total))

    def test_a_ring_is_half_its_length_deep(self):
        said = call("graph_bfs", size=10, degree=0)
        self.assertEqual((said["depth"], said["levels"]), (5, [1, 2, 2, 2, 2, 1]))

    def test_distances_grow_by_one_along_an_edge(self):
        lists = module("graph_bfs").neighbours(400, 3, 1)
        far = module("graph_bfs").distances(lists, 0)
        self.assertEqual(far.count(0), 1)
        for node, others in enumerate(lists):
            self.assertTrue(node == 0 or any(far[other] == far[node] - 1 for other in others))
            self.assertTrue(all(abs(far[other] - far[node]) <= 1 for other in others))


if __name__ == "__main__":
    unittest.main()
