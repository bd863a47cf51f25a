#!/usr/bin/env python3
"""table.py RESULTS: one Markdown table of the kit's results, medians over seeds
and both directions, a row for each condition; then who is ahead, row by row.

Delay is from mouth to ear in ms; lsd is the log-spectral distance of what was
heard from what was said, in dB, less is better; cpu is processor time in s a
minute of call, each end."""
import collections
import statistics
import sys

LSD, DELAY, CPU = 6, 8, 12  # columns of the kit's results
OURS = "securecall"
SEEDS = 5  # for a median


def number(cell):
    try:
        return float(cell)
    except ValueError:
        return None


def main():
    rows = collections.defaultdict(list)
    conditions, clients = [], []
    for line in open(sys.argv[1]):
        f = line.rstrip("\n").split("\t")
        client = f[0].split(":")[0]
        if client not in clients:
            clients.append(client)
        if f[1] not in conditions:
            conditions.append(f[1])
        rows[f[1], client].append(f)

    def median(condition, client, column):
        cells = (number(f[column]) for f in rows[condition, client] if column < len(f))
        values = [c for c in cells if c is not None]
        return statistics.median(values) if values else None

    clients.sort(key=lambda c: (c != OURS, c))
    print("| condition | calls | " + " | ".join(f"{c}: delay, lsd, cpu" for c in clients) + " |")
    print("|---|---|" + "---|" * len(clients))
    behind = []
    for c in conditions:
        cells = []
        values = {p: [median(c, p, column) for column in (DELAY, LSD, CPU)] for p in clients}
        for p in clients:
            delay, lsd, cpu = values[p]
            cells.append("none" if None in values[p] else f"{delay:.0f} · {lsd:.2f} · {cpu / 1000:.2f}")
        print(f"| {c} | {len(rows[c, OURS]) // 2} | " + " | ".join(cells) + " |")
        for name, value in zip(("delay", "lsd", "cpu"), values.get(OURS, [None] * 3)):
            if value is None:
                behind.append(f"{c}: no {name} of ours")
        if len(rows[c, OURS]) < 2 * SEEDS:
            behind.append(f"{c}: of fewer than {SEEDS} seeds")
        if len({len(rows[c, p]) for p in clients}) > 1:
            behind.append(f"{c}: not as many calls of each")
        for p in clients:
            for name, ours, theirs in zip(("delay", "lsd", "cpu"), values[OURS] if OURS in values else [], values[p]):
                if p == OURS or ours is None or theirs is None:
                    continue
                # Speech has to be no worse, to the accuracy of the measure, without loss.
                level = name == "lsd" and "loss" not in c and "burst" not in c
                if ours > theirs + 0.05 if level else ours >= theirs:
                    behind.append(f"{c}: {name} behind {p}'s")
    print()
    print("behind in: " + "; ".join(behind) if behind else "ahead in every row")


main()
