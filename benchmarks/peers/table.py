"""The table and the figure of what run.py has done so far; losses and failures stay in.

    python benchmarks/peers/table.py TASKS RESULTS [--figure FILE.svg]

Prints Markdown: per task every system with its log-loss and accuracy (means over seeds), its seconds and how
often it kept its budget, then the paired difference of ours after 200 s and each AutoGluon after 600 s, with
an interval that resamples families (rows of ungrouped tasks) and keeps the seeds of one together.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from run import BUDGETS_S, SYSTEMS, UNTIMED, cells
from scores import Scored, read_cells
from tasks import GROUPED, SEEDS, TASKS

from studies import stats

OURS_S, THEIRS_S = 200, 600
"""Budgets that the goal compares."""
SLACK = 1.05
"""A budget counts as kept up to this multiple."""
OURS = "ours"
MEASURES = {"log_loss": "log-loss", "credit": "accuracy"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tasks", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--figure", type=Path, help="SVG of log-loss and accuracy against time")
    given = parser.parse_args(arguments)
    scored = read_cells(given.tasks, given.results, cells(TASKS, SYSTEMS, BUDGETS_S, SEEDS))
    for task in TASKS:
        of_task = [each for each in scored if each.cell.task == task]
        if of_task:
            print(f"\n## {task}\n\n{_told(task, of_task)}\n")
            print("\n".join(table(of_task)))
            print(f"\nOurs after {OURS_S} s minus AutoGluon after {THEIRS_S} s:\n")
            print("\n".join(goal(of_task)))
    if given.figure is not None:
        draw(scored, given.figure)


def table(scored: Sequence[Scored]) -> list[str]:
    """Return the lines of one task's table; a row per system and budget."""
    lines = [
        "| system | budget, s | log-loss | accuracy, % | wall, s | CPU, s | kept its budget | failed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for budget_s in BUDGETS_S:
        for system in SYSTEMS:
            runs = _runs(scored, system, budget_s)
            if not runs:
                continue
            timed = system not in UNTIMED
            kept = sum(run.error is None and run.wall_s <= SLACK * budget_s for run in runs)
            cpu = [run.cpu_s for run in runs if run.cpu_s is not None]
            lines.append(
                f"| {system} | {budget_s if timed else 'none'} | {_mean(runs, 'log_loss'):.4f} "
                f"| {100 * _mean(runs, 'credit'):.2f} | {np.mean([run.wall_s for run in runs]):.0f} "
                f"| {f'{np.mean(cpu):.0f}' if cpu else '-'} "
                f"| {f'{kept} of {len(runs)}' if timed else '-'} "
                f"| {sum(run.error is not None for run in runs)} of {len(runs)} |"
            )
    return lines + [
        f"\n- {run.cell.system}, {run.cell.budget_s} s, seed {run.cell.seed} failed: {run.error}"
        for run in scored
        if run.error is not None
    ]


def goal(scored: Sequence[Scored]) -> list[str]:
    """Return the lines of the paired differences that the goal is about."""
    lines = ["| peer | log-loss | accuracy, points | verdict on log-loss |", "|---|---|---|---|"]
    for system in SYSTEMS:
        pairs = _pairs(scored, system)
        if not system.startswith("autogluon") or not pairs:
            continue
        loss, earned = _difference(pairs, "log_loss"), _difference(pairs, "credit")
        verdict = "ahead" if loss.high < 0 else "behind" if loss.low > 0 else "level"
        points = [100 * value for value in (earned.value, earned.low, earned.high)]
        lines.append(
            f"| {system} | {loss.value:+.4f} ({loss.low:+.4f}, {loss.high:+.4f}) "
            f"| {points[0]:+.2f} ({points[1]:+.2f}, {points[2]:+.2f}) | {verdict} |"
        )
    return lines if len(lines) > 2 else ["not run yet"]


def draw(scored: Sequence[Scored], path: Path) -> None:
    """Draw log-loss and accuracy against wall seconds, a column per task, a line per system."""
    from matplotlib.figure import Figure

    tasks = [task for task in TASKS if any(each.cell.task == task for each in scored)]
    figure = Figure(figsize=(3.4 * len(tasks), 6.4), layout="constrained")
    axes = figure.subplots(len(MEASURES), len(tasks), squeeze=False)
    for column, task in enumerate(tasks):
        for row, (measure, label) in enumerate(MEASURES.items()):
            panel = axes[row, column]
            of_task = [each for each in scored if each.cell.task == task]
            for place, system in enumerate(SYSTEMS):
                runs = [found for budget_s in BUDGETS_S if (found := _runs(of_task, system, budget_s))]
                if runs:
                    panel.plot(
                        [np.mean([run.wall_s for run in each]) for each in runs],
                        [_mean(each, measure) for each in runs],
                        color=f"C{place}",
                        marker="o",
                        linewidth=2.4 if system == OURS else 1.0,
                        label=system,
                    )
            panel.set_xscale("log")
            panel.set_xticks([2, 10, *BUDGETS_S], labels=["2", "10", *map(str, BUDGETS_S)])
            panel.minorticks_off()
            if measure == "log_loss":
                # What is far above the others stands in the table.
                low = min(_mean([each], measure) for each in of_task)
                panel.set_ylim(0.95 * low, min(panel.get_ylim()[1], 3 * low))
            panel.set_title(task if row == 0 else "")
            panel.set_xlabel("wall seconds" if row == len(MEASURES) - 1 else "")
            panel.set_ylabel(label if column == 0 else "")
    handles = {
        label: handle
        for panel in axes.flat
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, format="svg", metadata={"Date": None})


def _told(task: str, scored: Sequence[Scored]) -> str:
    unit = "questions" if task in GROUPED else "rows per seed"
    n_seeds = len({each.cell.seed for each in scored})
    return f"{len(scored[0].log_loss)} {unit}, {len(scored)} cells, {n_seeds} seed(s)."


def _runs(scored: Sequence[Scored], system: str, budget_s: int) -> list[Scored]:
    return [each for each in scored if each.cell.system == system and each.cell.budget_s == budget_s]


def _mean(runs: Sequence[Scored], measure: str) -> float:
    return float(np.mean([getattr(run, measure).mean() for run in runs]))


def _pairs(scored: Sequence[Scored], system: str) -> list[tuple[Scored, Scored]]:
    """Return ours and theirs of every seed that both have done."""
    theirs = {run.cell.seed: run for run in _runs(scored, system, THEIRS_S)}
    return [(run, theirs[run.cell.seed]) for run in _runs(scored, OURS, OURS_S) if run.cell.seed in theirs]


def _difference(pairs: Sequence[tuple[Scored, Scored]], measure: str) -> stats.Estimate:
    gaps = np.concatenate([getattr(ours, measure) - getattr(theirs, measure) for ours, theirs in pairs])
    return stats.mean_estimate(gaps, np.concatenate([ours.families for ours, _ in pairs]))


if __name__ == "__main__":
    main()
