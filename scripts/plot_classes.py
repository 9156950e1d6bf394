"""The picture of --classes, for plot_runs.py, which has looked for matplotlib when it draws: no program of its own."""
import math

from plot_data import Missing


def draw_classes(run):
    """Class by worker: how many images of a class a worker trains on (summary.json, class_counts)."""
    import matplotlib
    import matplotlib.pyplot as plt

    counts = run.summary.get("class_counts")
    if not counts:
        raise Missing("all workers train on the same images (data.partition is neither dirichlet nor iid)")
    rows = [list(row) for row in zip(*counts)]  # (classes, workers)
    figure, ax = plt.subplots(figsize=(7.0, min(7.0, 1.5 + 0.25 * len(rows))), layout="constrained")
    colors = matplotlib.colormaps["cividis_r"].copy()
    colors.set_bad("white")
    image = ax.imshow([[count or math.nan for count in row] for row in rows], cmap=colors, vmin=0, aspect="auto",
                      interpolation="nearest")  # fmt: skip
    if len(counts) <= 16 and len(rows) <= 20:
        most = max(map(max, rows))
        for i, row in enumerate(rows):
            for j, count in enumerate(row):
                ax.text(j, i, count, ha="center", va="center", fontsize=7,
                        color="white" if count > most / 2 else "black")  # fmt: skip
    ax.set(xlabel="worker", ylabel="class", title=str(run.path))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(matplotlib.ticker.MaxNLocator(16, integer=True))
    figure.colorbar(image, ax=ax, label="images", fraction=0.046, pad=0.02)
    return figure


def draw_all(runs, options, out):
    """One picture for each run that has the counts; a line says why another has none."""
    for number, run in enumerate(runs, 1):
        path = out / f"classes{f'-{number}' if len(runs) > 1 else ''}.{options.format}"
        try:
            draw_classes(run).savefig(path, dpi=200, bbox_inches="tight")
            print(path)
        except Missing as missing:
            print(f"plot_runs: classes of {run.path} are left out: {missing}")
