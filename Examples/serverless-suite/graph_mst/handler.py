# SPDX-License-Identifier: Apache-2.0
"""Finds the minimum spanning tree of a graph with `size` nodes (Kruskal's algorithm over a forest of disjoint sets)."""

import json
import random

SIZE_MAX = 2_000_000


def graph(size, seed, degree):
    """A ring, so that all hangs together, and `degree` more edges for each node: weight, one end, other end."""
    draw = random.Random(seed)
    edges = [(draw.randrange(1, 1_000_000), node, (node + 1) % size) for node in range(size)] if size > 1 else []
    edges += [(draw.randrange(1, 1_000_000), node, draw.randrange(size)) for node in range(size) for _ in range(degree)]
    return edges


def spanning_tree(size, edges):
    """How many edges the tree has, and the sum of their weights."""
    parent = list(range(size))

    def root(node):
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    count, weight = 0, 0
    for cost, one, other in sorted(edges):
        one, other = root(one), root(other)
        if one != other:
            parent[one] = other
            count += 1
            weight += cost
            if count == size - 1:
                break
    return count, weight


def run(size=5000, seed=1, degree=4):
    if not 1 <= size <= SIZE_MAX or not 0 <= degree <= 1000:
        raise ValueError(f"size must be 1 to {SIZE_MAX} and degree 0 to 1000, not {size} and {degree}")
    count, weight = spanning_tree(size, graph(size, seed, degree))
    return {"size": size, "edges": count, "check": weight}


def handle(event, context):
    try:
        return run(**json.loads(event.body or b"{}"))
    except (TypeError, ValueError) as error:
        return {"statusCode": 400, "body": f"{error}\n"}
