#!/usr/bin/env python3
"""Checks what a run left behind; used by the scripts beside it, one subcommand per kind of check.

    inspect_run.py summary RUN [key=value ...]   every field is there, the identities hold, and fields have these values
    inspect_run.py metrics RUN WORKERS           metrics.jsonl: valid lines with all fields, from every worker, in order
    inspect_run.py trace RUN WORKERS [SPAN ...]  trace.json: a Chrome trace with these spans of every worker
    inspect_run.py tensors FILE                  a safetensors file, read from its bytes alone, finite, without gaps
    inspect_run.py same_tensors FILE FILE        the same names and the same bytes
    inspect_run.py eval RUN OUTPUT TOLERANCE     the accuracy and loss printed by `grapevine eval` are the summary's
    inspect_run.py curves RUN RUN TOLERANCE      the losses of two runs' metrics agree
    inspect_run.py field RUN KEY                 prints a field of summary.json

Exit status 0 and no words, or 1 and what is wrong.
"""
import json
import math
import re
import struct
import sys
from pathlib import Path

SUMMARY_FIELDS = """algorithm graph workers chi1 chi2 eta alpha_tilde seed gradients gradients_per_worker exchanges
    exchanges_per_gradient samples_per_second wall_seconds test_accuracy test_loss consensus_distance version
    meetings transport idle data_wait rate_wanted ticks ticks_unserved test_accuracy_own_statistics""".split()
METRIC_FIELDS = """rank time step global_step epoch samples progress loss lr accuracy samples_per_second exchanges
    pair_distance idle data_wait pending""".split()


def expect(good, what):
    if not good:
        sys.exit(what)


def load_summary(run):
    return json.loads((Path(run) / "summary.json").read_text())


def check_counts(summary, total):
    n, gradients = summary["workers"], summary["gradients"]
    expect(len(summary["gradients_per_worker"]) == n, "gradients_per_worker has not one number per worker")
    expect(sum(summary["gradients_per_worker"]) == gradients, "gradients_per_worker does not sum to gradients")
    expect(gradients >= total, f"{gradients} gradients, {total} were wanted")
    over = gradients - total
    # 1 %, and what is under way while the word spreads: a gradient or two of each worker.
    expect(over <= 0.01 * total + 2 * n, f"{over} gradients over {total}: more than 1 % and two per worker")


def check_meetings(summary, edges):
    n, meetings = summary["workers"], summary["meetings"]
    expect(len(meetings) == n and all(len(row) == n for row in meetings), "meetings is not workers × workers")
    for i in range(n):
        for j in range(n):
            expect(meetings[i][j] == meetings[j][i], f"meetings of {i} and {j} differ: {meetings}")
            if edges is not None:
                expect(meetings[i][j] == 0 or (min(i, j), max(i, j)) in edges, f"{i} and {j} are no neighbors")
    upper = sum(meetings[i][j] for i in range(n) for j in range(i + 1, n))
    expect(upper == summary["exchanges"], f"meetings sum to {upper}, exchanges is {summary['exchanges']}")


def check_rate(summary, tolerance):
    """Every tick is served by one meeting, or was lost where that is injected; the ticks are Poisson, so a short run is
    off by its standard deviation."""
    served = summary["ticks"] - summary["ticks_unserved"] - summary.get("meetings_lost", 0)
    extra = summary["exchanges"] - served
    expect(0 <= extra <= summary["workers"], f"{summary['exchanges']} exchanges for {served} ticks")
    wanted = summary["rate_wanted"] * summary["gradients"] / 2
    allowed = 4 * math.sqrt(wanted) + summary["workers"] + tolerance * wanted
    expect(abs(summary["ticks"] - wanted) <= allowed, f"{summary['ticks']} ticks, {wanted:.0f} ± {allowed:.0f} wanted")


def graph_edges(name, n):
    if name == "ring":
        return {(min(i, (i + 1) % n), max(i, (i + 1) % n)) for i in range(n) if n > 1}
    return None  # complete, or not checked here


def command_summary(run, *wanted):
    summary = load_summary(run)
    for field in SUMMARY_FIELDS:
        expect(field in summary, f"summary.json lacks {field}")
    options = dict(pair.split("=", 1) for pair in wanted)
    total = int(options.pop("total", 0))
    rate_tolerance = float(options.pop("rate_tolerance", 0))
    for key, value in options.items():
        found = summary[key]
        same = math.isclose(found, float(value), rel_tol=1e-3) if isinstance(found, (int, float)) else found == value
        expect(same, f"{key} is {found}, expected {value}")
    if total > 0:
        check_counts(summary, total)
    check_meetings(summary, graph_edges(summary["graph"], summary["workers"]))
    realised = summary["exchanges_per_gradient"]
    expect(math.isclose(realised, 2 * summary["exchanges"] / summary["gradients"], rel_tol=1e-12),
           "exchanges_per_gradient is not 2·exchanges/gradients")
    if summary["rate_wanted"]:
        check_rate(summary, rate_tolerance)
    ideal = summary.get("time") == "ideal"
    for field in ("test_accuracy",) if ideal else ("test_accuracy", "idle", "data_wait"):
        values = summary[field] if isinstance(summary[field], list) else [summary[field]]
        expect(all(0 <= value <= 1 for value in values), f"{field} is no share: {values}")
    for field in ("test_loss", "wall_seconds") if ideal else ("test_loss", "samples_per_second", "wall_seconds"):
        expect(summary[field] > 0, f"{field} is {summary[field]}")
    if ideal:  # gradients take no seconds there, meetings no time, and only an all-reduce waits
        silent = [summary["samples_per_second"], *summary["samples_per_second_per_worker"], *summary["data_wait"]]
        waits = summary["idle"] if summary["algorithm"] != "allreduce" else []
        expect(not any(value is not None for value in silent + waits), "ideal time has rates or waits")
    expect(summary["consensus_distance"] >= 0, "consensus_distance is negative")
    if summary["workers"] == 1:
        expect(summary["consensus_distance"] == 0, "one worker has a consensus distance")


def command_metrics(run, workers):
    last_time, ranks, averaged, tests = -math.inf, set(), 0, 0
    lines = (Path(run) / "metrics.jsonl").read_text().splitlines()
    expect(lines, "metrics.jsonl is empty")
    for number, line in enumerate(lines, 1):
        row = json.loads(line, parse_constant=lambda word: expect(False, f"line {number}: {word} is not JSON"))
        expect(row["time"] >= last_time, f"line {number}: time goes back")
        last_time = row["time"]
        if "loss" in row:
            for field in METRIC_FIELDS:
                expect(field in row, f"line {number} lacks {field}")
            ranks.add(row["rank"])
        elif row.get("network") is True:
            for field in "global_step", "epoch", "consensus_predicted", "chi1", "chi2":
                expect(field in row, f"line {number}, about the network, lacks {field}")
            expect("consensus_distance" in row or "consensus_estimated" in row, f"line {number} has no consensus")
        else:
            expect("test_accuracy" in row or "validation_accuracy" in row, f"line {number} is of no kind: {line}")
            tests += 1
            averaged += "test_accuracy" in row and row["averaged"]
    expect(ranks == set(range(int(workers))), f"steps of the ranks {sorted(ranks)} only")
    expect(averaged >= 1, "no test of the averaged model")
    expect(not list(Path(run).glob("metrics-*")), "parts of the ranks are left over")


def command_trace(run, workers, *spans):
    trace = json.loads((Path(run) / "trace.json").read_text())
    seen, named = {}, {}
    for event in trace["traceEvents"]:
        if event["ph"] == "M":
            named.setdefault(event["pid"], set()).add(event["args"]["name"])
            continue
        expect(event["ph"] == "X" and event["ts"] >= 0 and event["dur"] >= 0, f"not a whole span: {event}")
        seen.setdefault(event["pid"], set()).add(event["name"])
    expect(set(seen) == set(range(int(workers))), f"spans of the workers {sorted(seen)} only")
    for worker in seen:
        expect({"compute", "communication"} <= named[worker], f"threads of worker {worker} are {named[worker]}")
        missing = set(spans) - seen[worker]
        expect(not missing, f"worker {worker} has no span {sorted(missing)}; it has {sorted(seen[worker])}")
    expect(not list(Path(run).glob("trace-*")), "parts of the ranks are left over")


def read_tensors(path):
    data = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    body, tensors, end = data[8 + length:], {}, 0
    header.pop("__metadata__", None)
    for name, info in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, stop = info["data_offsets"]
        size = {"F32": 4, "I64": 8}[info["dtype"]] * math.prod(info["shape"])
        expect(begin == end and stop == begin + size, f"{path}: {name}: bytes {begin} to {stop}")
        tensors[name], end = (info["dtype"], info["shape"], body[begin:stop]), stop
    expect(end == len(body), f"{path}: {len(body) - end} bytes too many")
    return tensors


def command_tensors(path):
    tensors = read_tensors(path)
    expect(tensors, f"{path} has no tensor")
    for name, (dtype, _, content) in tensors.items():
        if dtype == "F32":
            values = struct.unpack(f"<{len(content) // 4}f", content)
            expect(all(math.isfinite(value) for value in values), f"{path}: {name} is not finite")
    try:
        from safetensors.numpy import load_file
    except ImportError:
        return
    loaded = load_file(path)
    expect(set(loaded) == set(tensors), "safetensors sees other tensors")
    for name, (_, shape, content) in tensors.items():
        expect(list(loaded[name].shape) == shape and loaded[name].tobytes() == content, f"safetensors: {name} differs")


def command_same_tensors(first, second):
    one, other = read_tensors(first), read_tensors(second)
    expect(set(one) == set(other), "other tensors")
    for name in one:
        expect(one[name] == other[name], f"{name} differs")


def command_eval(run, output, tolerance):
    summary, text = load_summary(run), Path(output).read_text()
    accuracy, loss = re.search(r"accuracy[^\d]*([\d.]+)( ?%)?", text), re.search(r"loss[^\d]*([\d.]+)", text)
    expect(accuracy and loss, f"no accuracy and loss in: {text}")
    share = float(accuracy[1]) / (100 if accuracy[2] else 1)
    expect(abs(share - summary["test_accuracy"]) <= float(tolerance),
           f"accuracy {share}, summary {summary['test_accuracy']}")
    expect(abs(float(loss[1]) - summary["test_loss"]) <= 1e-4 * (1 + summary["test_loss"]),
           f"loss {loss[1]}, summary {summary['test_loss']}")


def command_top5(run, output, there):
    """The share among the five best: in the summary, in each test of the metrics and in what eval says; or nowhere."""
    summary, text = load_summary(run), Path(output).read_text()
    rows = [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]
    tests = [row for row in rows if "test_accuracy" in row]
    places = [summary] + tests
    if there == "absent":
        expect(all("test_accuracy_top5" not in place for place in places) and "top-5" not in text, "it is told")
        return
    expect(len(tests) > summary["workers"], "no tests in mid-run")
    for place in places:
        expect(place["test_accuracy"] <= place["test_accuracy_top5"] <= 1, f"no share beyond the best one's: {place}")
    own = summary["test_accuracy_top5_own_statistics"]
    expect(summary["test_accuracy_own_statistics"] <= own <= 1, f"with worker 0's statistics {own}")
    final = [row["test_accuracy_top5"] for row in tests if row["averaged"]]
    expect(len(final) == 1 and abs(final[0] - summary["test_accuracy_top5"]) < 1e-8, f"the last test says {final}")
    said = re.search(r"top-5 ([\d.]+)", text)
    expect(said and abs(float(said[1]) - summary["test_accuracy_top5"]) < 5.1e-5, f"eval says {text}")


def losses(run):
    rows = [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]
    return {(row["rank"], row["step"]): row["loss"] for row in rows if "loss" in row}


def command_curves(first, second, tolerance):
    one, other = losses(first), losses(second)
    expect(one and set(one) == set(other), "other steps")
    worst = max(abs(one[key] - other[key]) / (1 + abs(one[key])) for key in one)
    expect(worst <= float(tolerance), f"losses differ by {worst:.3g}, {tolerance} is allowed")


def command_goes_on(run, total, exact=""):
    """A run in parts tells of one course: nothing goes back, nothing is told twice, and its sums are those of one run.
    exact: every tick was served once, else a few may have been drawn again."""
    summary = load_summary(run)
    rows = [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]
    for rank in range(summary["workers"]):
        own = [row for row in rows if "loss" in row and not row.get("network") and row["rank"] == rank]
        for key in ("step", "time", "exchanges", "global_step"):
            values = [row[key] for row in own]
            expect(values == sorted(values), f"{key} of rank {rank} goes back")
        expect(len({row["step"] for row in own}) == len(own), f"rank {rank} tells of a step twice")
    expect(int(total) <= summary["gradients"] <= 1.05 * int(total), f"{summary['gradients']} gradients")
    served = 2 * summary["exchanges"] / summary["gradients"]
    expect(abs(served - 1) < 0.1, f"{served} meetings for each gradient")
    off = summary["ticks"] - summary["ticks_unserved"] - summary["exchanges"]
    expect(abs(off) <= (0 if exact else 12), f"{off} ticks more than were served")


def rate_between(rows, key, begin, end):
    inside = [row for row in rows if begin <= row["time"] <= end]
    expect(len(inside) > 3, f"{len(inside)} reports between {begin:.1f} and {end:.1f} s")
    return (inside[-1][key] - inside[0][key]) / (inside[-1]["time"] - inside[0]["time"])


def command_stopped(run, begin, end, least="0.95"):
    """One of four ranks stood still from `begin` to `end`: the others made gradients as before, met one another, and it
    took part again afterwards. The run was left, not ended: each rank has its own metrics."""
    begin, end = float(begin), float(end)
    rows = [[row for row in map(json.loads, open(f"{run}/metrics-{rank}.jsonl")) if "step" in row and "loss" in row]
            for rank in range(4)]
    stopped = min(range(4), key=lambda rank: sum(begin + 1 < row["time"] < end for row in rows[rank]))
    before, during = 0, 0
    for rank in set(range(4)) - {stopped}:
        before += rate_between(rows[rank], "step", 1, begin)
        during += rate_between(rows[rank], "step", begin + 1, end)
        expect(rate_between(rows[rank], "exchanges", begin + 1, end) > 0, f"worker {rank} met nobody meanwhile")
    print(f"gradients of the others while it is stopped, over before: {during / before:.2f}")
    expect(during >= float(least) * before, f"the others slowed down to {during / before:.2f}")
    after = [row for row in rows[stopped] if row["time"] > end + 1]
    expect(len(after) > 3, "it made no gradient afterwards")
    expect(after[-1]["exchanges"] > after[0]["exchanges"], "it met nobody afterwards")


def command_thin(wide, thin, a, b):
    """The same run on equal links and with a thin one between workers a and b: gradients are as fast, the thin edge is
    met less often than its rate, and the others are met at theirs."""
    a, b = int(a), int(b)
    one, other = load_summary(wide), load_summary(thin)

    def speed(run): # without each rank's last report, which comes when the last meetings are over
        rows = [json.loads(line) for line in open(f"{run}/metrics.jsonl") if '"loss"' in line]
        own = [[row for row in rows if row["rank"] == rank][-2] for rank in range(one["workers"])]
        return sum(row["step"] / row["time"] for row in own)
    ratio = speed(thin) / speed(wide)
    print(f"gradients per second with a thin link over without: {ratio:.2f}")
    expect(ratio >= 0.95, f"compute threads slow down to {ratio:.2f}")

    def share(summary, i, j):
        gradients = summary["gradients_per_worker"]
        return summary["meetings"][i][j] / (0.5 * (gradients[i] + gradients[j]) / 2)
    for i in range(other["workers"]):
        j = (i + 1) % other["workers"]
        before, now = share(one, i, j), share(other, i, j)
        print(f"edge {i}-{j}: met at {before:.2f} of its rate on equal links, now at {now:.2f}")
        if {i, j} == {a, b}:
            expect(now < 0.5 * before, f"the thin edge is met at {now:.2f} of its rate")
        else:
            expect(now > 0.8 * before, f"edge {i}-{j} is met at {now:.2f} of its rate, before at {before:.2f}")


def command_field(run, key):
    print(load_summary(run)[key])


if __name__ == "__main__":
    globals()["command_" + sys.argv[1]](*sys.argv[2:])
