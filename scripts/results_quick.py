#!/usr/bin/env python3
"""Trains the recipes in recipes/quick/ on a running service, measures them, and writes docs/RESULTS.md.

    results_quick.py URL [NAME …]

Needs nothing but Python 3. The service must have the data sets that the recipes name (`make
results-quick` sees to that). With names, only those recipes are run again; the rows of the others stay
as they were. Every figure is the service's own evaluation of the published model on the test split;
the jobs, seeds and settings are the files themselves.
"""

import datetime
import hashlib
import json
import os
import pathlib
import platform
import sys
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECIPES = ROOT / "recipes" / "quick"
PICTURES = ROOT / "docs" / "results"
RECORD = PICTURES / "quick.json"
ENDED = ("succeeded", "failed", "canceled")


def ask(base, path, body=None, headers=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json", **(headers or {})}
    request = urllib.request.Request(base + path, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=700) as answer:
            content = answer.read()
            return json.loads(content) if answer.headers["content-type"] == "application/json" else content
    except urllib.error.HTTPError as error:
        sys.exit(f"{path}: {error.read().decode()}")


def wait(base, job, what):
    while job["status"] not in ENDED:
        job = ask(base, f"/v1/jobs/{job['id']}", headers={"prefer": "wait=5"})
        progress = job["progress"]
        line = f"{what}: {job['phase'] or job['status']}, {100 * progress['fraction']:.0f} %"
        print(f"\r\033[K{line}" if sys.stderr.isatty() else line, end="" if sys.stderr.isatty() else "\n", file=sys.stderr)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return job


def seconds(job):
    started, finished = (
        datetime.datetime.fromisoformat(job[at].replace("Z", "+00:00")) for at in ("started_at", "finished_at")
    )
    return (finished - started).total_seconds()


def post(base, path, document, what):
    """The same document makes one job, however often it is posted."""
    key = hashlib.sha256((path + json.dumps(document, sort_keys=True)).encode()).hexdigest()
    job = ask(base, path, document, {"idempotency-key": key})
    return wait(base, job, what)


def run(base, row):
    """Trains and measures one recipe; what is worth keeping of it. One with several seeds is run with each: a
    figure is then their mean, with the least and the greatest beside it."""
    document = json.loads((RECIPES / f"{row['recipe']}.json").read_text())
    seeds = row.get("seeds") or [document["training"]["seed"]]
    results = []
    for seed in seeds:
        document["training"]["seed"] = seed
        result = run_once(base, row, document)
        if "error" in result:
            return result
        results.append(result)
    if len(results) == 1:
        return results[0]
    merged = {**results[0], "seed": ", ".join(str(seed) for seed in seeds), "seconds": max(result["seconds"] for result in results)}
    figures = [result.get("figures", {}) for result in results]
    merged["figures"] = {name: sum(each[name] for each in figures) / len(figures) for name in figures[0]}
    merged["spread"] = {name: [min(each[name] for each in figures), max(each[name] for each in figures)] for name in figures[0]}
    return merged


def run_once(base, row, document):
    name = row["recipe"]
    job = post(base, "/v1/jobs", document, name)
    if job["status"] != "succeeded":
        return {"error": f"{job['status']}: {(job['error'] or {}).get('detail')}"}
    result = {
        "seconds": round(seconds(job)),
        "threads": job["training"]["threads"],
        "seed": job["training"]["seed"],
        "model": f"{job['result']['model']}:{job['result']['version']}",
    }
    if row.get("evaluate"):
        evaluation = {"model": result["model"], "dataset": document["dataset"], "metrics": row["evaluate"]}
        measured = post(base, "/v1/evaluations", evaluation, f"{name}, measuring")
        if measured["status"] != "succeeded":
            return {**result, "error": f"{measured['status']}: {(measured['error'] or {}).get('detail')}"}
        result["evaluation_seconds"] = round(seconds(measured))
        result["figures"] = measured["result"]["metrics"]
    for verb, options in (row.get("pictures") or {}).items():
        picture = ask(base, f"/v1/models/{result['model']}/{verb}", options, {"accept": "image/png"})
        (PICTURES / f"{name}-{verb}.png").write_bytes(picture)
    return result


def number(value, row):
    text = f"{100 * value:.2f} %" if row.get("percent") else f"{value:.2f}"
    return text


def figure(row, result):
    if "error" in result:
        return result["error"]
    parts = []
    for show in row["show"]:
        value = result.get("figures", {}).get(show["figure"])
        if value is not None:
            shown = number(value, show)
            if spread := result.get("spread", {}).get(show["figure"]):
                shown += f" ({number(spread[0], show)} to {number(spread[1], show)})"
            parts.append(f"{show['as']} {shown}" if show.get("as") else f"**{shown}**")
    return ", ".join(parts) or "-"


def hardware():
    model = platform.processor() or platform.machine()
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return f"{os.cpu_count()} cores of {model}"


def write(index, record):
    lines = [
        "# Results",
        "",
        "Written by `make results-quick`; do not edit. Each recipe is a complete job document in `recipes/quick/` that is meant to train in at most ten minutes on two CPU cores; the column says how long it took.",
        "Figures are of the test split, which nothing is chosen on, and of one seed, which the recipe names; where there are several, a figure is their mean, with the least and the greatest in brackets, and the time that of the longest. The long runs that the published figures come from took hours to days.",
        "",
    ]
    for data, title in index["sections"].items():
        rows = [row for row in index["rows"] if row.get("data", "mnist") == data]
        if not rows:
            continue
        lines += [f"## {title}", "", "| recipe | what | goal | reached | published | training | seed |", "| --- | --- | --- | --- | --- | --- | --- |"]
        for row in rows:
            result = record["results"].get(row["recipe"])
            reached = figure(row, result) if result else "not run yet"
            took = f"{result['seconds']} s" if result and "seconds" in result else "-"
            seed = result["seed"] if result and "seed" in result else "-"
            lines.append(f"| [{row['recipe']}](../recipes/quick/{row['recipe']}.json) | {row['what']} | {row.get('goal', '-')} | {reached} | {row.get('published', '-')} | {took} | {seed} |")
        lines.append("")
    lines += ["## How it was measured", ""]
    lines += [f"- {note}" for note in index["notes"]]
    if record.get("hardware"):
        lines.append(f"- Measured on {record['hardware']}, {record['threads']} threads, on {record['date']}, with latentd {record['version']} and libtorch {record['libtorch']}.")
    lines.append("")
    shown = [(row, verb) for row in index["rows"] for verb in row.get("pictures") or {} if (PICTURES / f"{row['recipe']}-{verb}.png").exists()]
    if shown:
        lines += ["## What they make", ""]
        for row, verb in shown:
            lines += [f"**{row['recipe']}**, `{verb}`:", "", f"![{row['recipe']} {verb}](results/{row['recipe']}-{verb}.png)", ""]
    (ROOT / "docs" / "RESULTS.md").write_text("\n".join(lines).rstrip() + "\n")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    base, wanted = sys.argv[1].rstrip("/"), sys.argv[2:]
    index = json.loads((RECIPES / "index.json").read_text())
    names = [row["recipe"] for row in index["rows"]]
    for name in wanted:
        if name not in names:
            sys.exit(f"there is no recipe '{name}'; there are: {', '.join(names)}")
    PICTURES.mkdir(parents=True, exist_ok=True)
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {"results": {}}
    info = ask(base, "/v1/info")
    for row in index["rows"]:
        if wanted and row["recipe"] not in wanted:
            continue
        result = run(base, row)
        record["results"][row["recipe"]] = result
        record.update(
            hardware=hardware(),
            threads=result.get("threads", record.get("threads")),
            date=time.strftime("%Y-%m-%d"),
            version=info["version"],
            libtorch=info["libtorch_version"],
        )
        # After each: a long run that is broken off loses only the recipe it was at.
        RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
        write(index, record)
        print(f"{row['recipe']}: {figure(row, result)} ({result.get('seconds', '-')} s)")


main()
