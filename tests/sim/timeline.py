#!/usr/bin/env python3
"""What happened when in a simulated run, as text that depends on its clock alone.

    timeline.py RUN     events of every worker in its order, spans of the trace, lines of the metrics in their order

From events-*.jsonl, trace.json and metrics.jsonl of a run with run.record and run.trace. Losses, distances and rates
are left out: they depend on the processor and its libraries. Times are rounded to a millionth.
"""
import json
import sys
from pathlib import Path


def json_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def print_events(run, worker):
    print(f"\nevents of worker {worker}: time, its own time, gradients done, what, with whom, which meeting")
    for event in json_lines(run / f"events-{worker}.jsonl"):
        if "event" not in event:
            continue
        print(f"{event['time']:.6f} {event['t']:.6f} {event['step']} {event['event']}",
              *(f"{event[key]}" for key in ("peer", "meeting") if key in event))


def print_spans(run):
    print("\nspans: worker, thread, begin, length, what, with whom")
    for event in json.loads((run / "trace.json").read_text())["traceEvents"]:
        if event["ph"] == "X":
            thread = "compute" if event["tid"] == 0 else "communication"
            print(f"{event['pid']} {thread} {event['ts'] / 1e6:.6f} {event['dur'] / 1e6:.6f} {event['name']}",
                  *event.get("args", {}).values())


def print_metrics(run):
    print("\nlines of the metrics")
    for row in json_lines(run / "metrics.jsonl"):
        who = "network" if "network" in row else f"worker {row['rank']}"
        what = "step" if "loss" in row else "test" if "test_loss" in row else "network"
        keys = ("step", "global_step", "epoch", "samples", "progress", "exchanges", "pending", "pictures", "averaged")
        print(f"{row['time']:.6f} {who}" + (f" {what}" if what != "network" else ""),
              *(f"{key} {row[key]}" for key in keys if key in row and (key, what) != ("step", "network")))


def print_summary(run):
    summary = json.loads((run / "summary.json").read_text())
    print("\nsummary")
    for key in "virtual_time", "gradients_per_worker", "exchanges", "ticks", "ticks_unserved", "meetings_lost", "idle":
        if key in summary:
            value = summary[key]
            print(key, f"{value:.6f}" if isinstance(value, float) else
                  " ".join("null" if share is None else f"{share:.6f}" for share in value) if key == "idle" else value)


def main():
    run = Path(sys.argv[1])
    for worker in range(len(list(run.glob("events-*.jsonl")))):
        print_events(run, worker)
    print_spans(run)
    print_metrics(run)
    print_summary(run)


if __name__ == "__main__":
    main()
