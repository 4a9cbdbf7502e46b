#!/usr/bin/env python3
"""Trains the recipes in recipes/mnist/ on a running service and prints their test figures.

Needs nothing but Python 3. The figures are computed here from what the service answers over the
10,000 test images, not read from the service's own reports:

  rbm, autoencoder  squared error of the reconstruction, mean over pixels and images
  denoising         PSNR in dB of each image against the clean one, then averaged, at Gaussian noise
                    of standard deviation 0.5 clamped to [0, 1], beside that of a 3x3 median filter
                    on the very same noisy images
"""

import json
import math
import pathlib
import statistics
import sys
import time
import urllib.error
import urllib.request

SIDE = 28
BATCH = 1000
RECIPES = pathlib.Path(__file__).resolve().parent.parent / "recipes" / "mnist"


def ask(base, path, body=None, headers=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json", **(headers or {})}
    request = urllib.request.Request(base + path, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=700) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        sys.exit(f"{path}: {error.read().decode()}")


def train(base, recipe):
    job = ask(base, "/v1/jobs", json.loads((RECIPES / f"{recipe}.json").read_text()))
    while job["status"] not in ("succeeded", "failed", "canceled"):
        job = ask(base, f"/v1/jobs/{job['id']}", headers={"prefer": "wait=5"})
        progress = job["progress"]
        print(f"\r{recipe}: epoch {progress['epoch']} of {progress['epochs']} ", end="", file=sys.stderr)
    print(file=sys.stderr)
    if job["status"] != "succeeded":
        sys.exit(f"{recipe}: {job['error']}")
    span = [time.strptime(job[at][:19], "%Y-%m-%dT%H:%M:%S") for at in ("started_at", "finished_at")]
    seconds = time.mktime(span[1]) - time.mktime(span[0])
    return job["name"], seconds, job["training"]["threads"]


def test_rows(base):
    for offset in range(0, 10000, BATCH):
        page = ask(base, f"/v1/datasets/mnist/rows?split=test&offset={offset}&limit={BATCH}")
        yield {"dataset": "mnist", "split": "test", "offset": offset, "limit": BATCH}, page["rows"]


def squared_error(a, b):
    return sum((x - y) ** 2 for x, y in zip(a, b)) / len(a)


def reconstruction_mse(base, model):
    errors = []
    for rows, clean in test_rows(base):
        answer = ask(base, f"/v1/models/{model}/reconstruct", {"rows": rows})
        errors += map(squared_error, answer["outputs"], clean)
    return statistics.fmean(errors)


def psnr(image, clean):
    clamped = [min(max(x, 0.0), 1.0) for x in image]
    return -10 * math.log10(max(squared_error(clamped, clean), 1e-12))


def median_filter(image):
    """3x3, the border repeated outwards."""
    at = [min(max(i, 0), SIDE - 1) for i in range(-1, SIDE + 1)]
    out = []
    for y in range(SIDE):
        lines = [image[SIDE * at[y + d]:SIDE * at[y + d] + SIDE] for d in (0, 1, 2)]
        columns = [[line[x] for line in lines] for x in at]
        out += [sorted(columns[x] + columns[x + 1] + columns[x + 2])[4] for x in range(SIDE)]
    return out


def denoising(base, model):
    ours, median, noisy = [], [], []
    for rows, clean in test_rows(base):
        corrupt = {"kind": "gaussian", "level": 0.5, "seed": rows["offset"]}
        answer = ask(base, f"/v1/models/{model}/denoise", {"rows": rows, "corrupt": corrupt})
        ours += map(psnr, answer["outputs"], clean)
        noisy += map(psnr, answer["inputs"], clean)
        median += map(psnr, map(median_filter, answer["inputs"]), clean)
    return [statistics.fmean(figures) for figures in (ours, median, noisy)]


def main():
    base = sys.argv[1].rstrip("/")
    lines = []
    for recipe in ("rbm", "autoencoder"):
        model, seconds, threads = train(base, recipe)
        lines.append((recipe, "test squared error per pixel", f"{reconstruction_mse(base, model):.5f}", seconds))
    model, seconds, threads = train(base, "denoising")
    ours, median, noisy = denoising(base, model)
    figure = f"{ours:.2f} dB (3x3 median filter {median:.2f} dB, noisy {noisy:.2f} dB)"
    lines.append(("denoising", "test PSNR, noise 0.5", figure, seconds))
    print("| recipe | figure | value | training |\n| --- | --- | --- | --- |")
    for recipe, what, value, seconds in lines:
        print(f"| {recipe} | {what} | {value} | {seconds:.0f} s on {threads} CPU threads |")


main()
