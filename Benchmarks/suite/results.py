# SPDX-License-Identifier: Apache-2.0
"""Figures with their targets, and the two files made of them."""

import json

# How a figure is held against its target.
AT_MOST, AT_LEAST = "at most", "at least"


class Results:
    def __init__(self):
        self.rows = []
        self.details = {}

    def add(self, section, what, value, unit, target=None, sense=AT_MOST, note=None):
        """A figure. Without a target it is context."""
        met = None if target is None else value <= target if sense == AT_MOST else value >= target
        self.rows.append({
            "section": section, "what": what, "value": value, "unit": unit,
            "target": None if target is None else {"sense": sense, "value": target}, "met": met, "note": note,
        })

    def pending(self, section, what, why):
        """A figure that could not be measured."""
        self.rows.append({"section": section, "what": what, "value": None, "unit": None, "target": None, "met": None, "note": why})

    def keep(self, name, value):
        """Raw figures, for the JSON file only."""
        self.details[name] = value

    @property
    def unmeasured(self):
        return [row for row in self.rows if row["value"] is None]

    @property
    def missed(self):
        return [row for row in self.rows if row["met"] is False]

    def json(self, machine, settings):
        report = {"machine": machine, "settings": settings, "figures": self.rows, "details": self.details}
        return json.dumps(report, indent=2, sort_keys=True) + "\n"

    def markdown(self, machine, settings):
        busy = machine["busyBefore"] * 100
        lines = [
            "# Benchmarks", "",
            "Written by `make bench`; do not edit. [Benchmarks/README.md](../Benchmarks/README.md) says how each figure is measured.", "",
            f"Machine: {machine['cores']} cores ({machine['processor']}), {machine['memoryBytes'] / 2**30:.0f} GiB, "
            f"Linux {machine['kernel']}, "
            f"{machine['system']}, cgroups {machine['cgroups']}. {busy:.0f} % busy with other work before the run.", "",
            f"Run of {settings['date']}, revision {settings['revision']}, {settings['rounds']} rounds of {settings['seconds']} s each"
            + (" (quick)" if settings["quick"] else "")
            + ". Rounds of compared programs alternate; figures are medians of rounds. Ratios carry over to other machines, "
            + "milliseconds do not.", "",
            "| figure | measured | target | met |", "|---|---:|---:|---|",
        ]
        section = None
        for row in self.rows:
            if row["section"] != section:
                section = row["section"]
                lines.append(f"| **{section}** | | | |")
            note = f" ({row['note']})" if row["note"] else ""
            measured = "not measured" if row["value"] is None else amount(row["value"], row["unit"])
            target = "" if row["target"] is None else f"{row['target']['sense']} {amount(row['target']['value'], row['unit'])}"
            met = {None: "", True: "yes", False: "**no**"}[row["met"]]
            lines.append(f"| {row['what']}{note} | {measured} | {target} | {met} |")
        return "\n".join(lines) + "\n"


def amount(value, unit):
    """A figure as people write it."""
    if unit == "x":
        return f"{value:.2f}x"
    if unit == "MB":
        return f"{value:.1f} MB"
    if unit in ("ms", "us", "ns"):
        return f"{value:.3f} {unit}" if abs(value) < 1 else f"{value:.2f} {unit}" if abs(value) < 10 else f"{value:.1f} {unit}"
    text = f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.1f}"
    return f"{text} {unit}".strip()
