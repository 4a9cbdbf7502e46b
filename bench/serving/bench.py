#!/usr/bin/env python3
"""Measures serving beside its peers, all on this machine and in one run; every figure is printed, ratios last.

  bench.py LATENTD ECHO CROWD [PYTHON]

LATENTD, ECHO and CROWD are the binaries; PYTHON has torch, fastapi, uvicorn, litserve and bentoml (left out: no peers).
wrk makes the load, on the same cores; CROWD that of the crowd. SECONDS_EACH is how long each measurement takes (5), REPEATS how often (3): the
median is told. PARTS picks some of: peers, batches, crowd, generate, training.
"""
import array
import json
import os
import pathlib
import random
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).parent
SECONDS = int(os.environ.get("SECONDS_EACH", "5"))
REPEATS = int(os.environ.get("REPEATS", "3"))
PARTS = os.environ.get("PARTS", "peers,batches,crowd,generate,training").split(",")
PATIENCE = 120


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def descendants(pid):
    children = [int(child) for listed in pathlib.Path(f"/proc/{pid}/task").glob("*/children") for child in listed.read_text().split()]
    return children + [pid for child in children for pid in descendants(child)]


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def send(pid, signal_number):
    try:
        os.kill(pid, signal_number)
    except ProcessLookupError:
        pass


class Server:
    """A process that answers on a port; it and its children go with the block."""

    def __init__(self, command, port, path="/"):
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.base, start = f"http://127.0.0.1:{port}", time.perf_counter()
        while True:
            try:
                urllib.request.urlopen(self.base + path, timeout=5).close()
                break
            except urllib.error.HTTPError:
                break
            except OSError:
                if self.process.poll() is not None or time.perf_counter() - start > PATIENCE:
                    self.stop()
                    raise SystemExit(f"{command} did not start")
                time.sleep(0.005)
        self.ready_after = time.perf_counter() - start

    def stop(self):
        """Nothing of it is left: BentoML's workers have sessions of their own and outlive it, busy with what was asked last."""
        family = descendants(self.process.pid)
        for pid in (self.process.pid, *family):
            send(pid, signal.SIGTERM)
        end = time.monotonic() + 15
        while (self.process.poll() is None or any(map(is_alive, family))) and time.monotonic() < end:
            time.sleep(0.05)
        for pid in (self.process.pid, *family):
            send(pid, signal.SIGKILL)
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def memory_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def ask(self, method, path, document=None, body=None, media_type="application/json"):
        data = body if body is not None else json.dumps(document).encode() if document is not None else None
        request = urllib.request.Request(self.base + path, data=data, method=method, headers={"content-type": media_type})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)


def load(url, body, connections=32, seconds=SECONDS, media_type="application/json", accept=None):
    environment = dict(os.environ, BODY=str(body), TYPE=media_type, **({"ACCEPT": accept} if accept else {}))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(HERE / "encode.lua"), url]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    figures = json.loads(out.strip().splitlines()[-1])
    figures["a_second"] = figures["requests"] / figures["seconds"]
    return figures


def measure(what, url, body, **how):
    load(url, body, seconds=2, **{k: v for k, v in how.items() if k != "seconds"})
    runs = [load(url, body, **how) for _ in range(REPEATS)]
    middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    spread = ", ".join(f"{run['a_second']:.0f}" for run in runs)
    print(f"{what:34} {middle['a_second']:10.0f} /s   p50 {middle['p50_ms']:8.2f} ms   p99 {middle['p99_ms']:8.2f} ms"
          f"   not 200: {middle['not_ok']:.0f}, broken: {middle['broken']:.0f}   ({spread})", flush=True)
    return middle


def npy(rows, width, values):
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + values.tobytes()


def trained(server, name, dataset, model, training):
    job = {"name": name, "dataset": dataset, "model": model, "training": {"seed": 1, **training}}
    job = server.ask("POST", "/v1/jobs", job)
    while job["status"] not in ("succeeded", "failed", "canceled"):
        time.sleep(0.05)
        job = server.ask("GET", f"/v1/jobs/{job['id']}")
    if job["status"] != "succeeded":
        raise SystemExit(f"{name}: {job['error']}")


def prepare(server, folder):
    """A data set of random images and the models that are measured; how well they learn does not matter."""
    random.seed(7)
    values = array.array("f", (random.random() for _ in range(512 * 784)))
    (folder / "images.npy").write_bytes(npy(512, 784, values))
    subprocess.run(["curl", "-sf", "--noproxy", "*", "-o", os.devnull, server.base + "/v1/datasets", "-F", "name=images",
                    "-F", "shape=1,28,28", "-F", f"train=@{folder / 'images.npy'}"], check=True)
    encoder = {"kind": "autoencoder", "hidden": [512, 256], "code": 32, "activation": "relu"}
    trained(server, "encoder", "images", encoder, {"epochs": 1})
    if "generate" in PARTS:
        trained(server, "dcgan", "images", {"kind": "gan", "architecture": "dcgan"}, {"epochs": 1})
        trained(server, "rbm", "images", {"kind": "rbm", "hidden": 500}, {"epochs": 1})
    (folder / "batch.npy").write_bytes(npy(256, 784, values[:256 * 784]))
    row = ",".join(f"{value:.4f}" for value in values[:784])
    (folder / "row.json").write_text(f'{{"inputs":[[{row}]]}}')


def beside_peers(echo, python, url, body):
    ratios = {}
    port = free_port()
    with Server([echo, str(port)], port) as server:
        empty = measure("axum echo of the same body", server.base + "/encode", body)
    ours = measure("latentd encode", url, body)
    ratios["requests/s to the echo's"] = ours["a_second"] / empty["a_second"]
    if not python:
        return ratios
    peers = {}
    for name in ("fastapi", "litserve", "bentoml"):
        port = free_port()
        with Server([python, str(HERE / "peers.py"), name, str(port)], port) as server:
            peers[name] = measure(name, server.base + "/encode", body)
    fastest = max(peers.values(), key=lambda peer: peer["a_second"])
    ratios["requests/s to the fastest peer's"] = ours["a_second"] / fastest["a_second"]
    ratios["p50 of the fastest peer to ours"] = fastest["p50_ms"] / ours["p50_ms"]
    ratios["p99 of the fastest peer to ours"] = min(peer["p99_ms"] for peer in peers.values()) / ours["p99_ms"]
    return ratios


def in_batches(python, url, folder):
    """Each measurement beside one of libtorch alone: what else the machine does weighs on both."""
    how = {"media_type": "application/x-npy", "accept": "application/x-npy", "connections": 2}
    if not python:
        measure("latentd encode, 256 rows as npy", url, folder / "batch.npy", **how)
        return {}
    load(url, folder / "batch.npy", seconds=2, **how)
    command = [python, str(HERE / "forward.py"), str(os.cpu_count()), str(SECONDS)]
    pairs = []
    for _ in range(REPEATS):
        bare = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        pairs.append((256 * load(url, folder / "batch.npy", **how)["a_second"], bare))
    print(f"{'encode, 256 rows as npy':34} " + ", ".join(f"{ours:.0f} rows/s beside {bare:.0f} of libtorch alone" for ours, bare in pairs), flush=True)
    return {"rows/s to libtorch's alone": statistics.median(ours / bare for ours, bare in pairs)}


def crowd(generator, url, body, connections, seconds):
    """Latencies of what was answered 200 alone: what was refused is counted apart."""
    out = subprocess.run([generator, url, str(body), str(connections), str(seconds)], capture_output=True, text=True, check=True).stdout
    figures = json.loads(out)
    print(f"{f'latentd encode, {connections:,} connections':34} {figures['a_second']:10.0f} /s   p50 {figures['p50_ms']:8.2f} ms   p99 {figures['p99_ms']:8.2f} ms"
          f"   429: {figures['refused']}, other: {figures['other']}, broken: {figures['broken']}", flush=True)
    return figures


def in_a_crowd(server, generator, url, body):
    crowd(generator, url, body, 32, 2)
    quiet = [crowd(generator, url, body, 32, SECONDS)["p99_ms"] for _ in range(REPEATS)]
    before = server.memory_mib()
    many = crowd(generator, url, body, 1000, 60)
    print(f"{'memory':34} {before:10.0f} -> {server.memory_mib():.0f} MiB")
    return {"p99 with 1,000 connections to that with 32": many["p99_ms"] / statistics.median(quiet)}


def beside_a_chain(base, url, body):
    """Quick calls while the longest chain of samples runs, which ends when whoever asked for it leaves."""
    rbm = base + "/v1/models/rbm/generate"
    chain = subprocess.Popen(["curl", "-sf", "--noproxy", "*", "-o", os.devnull, "-H", "content-type: application/json", rbm,
                              "-d", '{"n":256,"gibbs_steps":100000}'])
    try:
        time.sleep(0.5)
        measure("latentd encode beside a Gibbs chain", url, body)
        if chain.poll() is not None:
            print("the chain ended before the measurement did")
    finally:
        chain.kill()


def beside_training(server, url, body):
    """One client, then 32, while nothing else runs and while a job trains with all cores it can get."""
    def steps():
        return server.ask("GET", f"/v1/jobs/{job['id']}")["progress"]["step"]

    def pace(meanwhile):
        before, start = steps(), time.perf_counter()
        meanwhile()
        return (steps() - before) / (time.perf_counter() - start)

    clients = {1: "latentd encode, 1 connection", 32: "latentd encode, 32 connections"}
    quiet = {n: measure(what, url, body, connections=n) for n, what in clients.items()}
    model = {"kind": "autoencoder", "hidden": [1024, 512], "code": 64}
    job = {"name": "beside", "dataset": "images", "model": model, "training": {"seed": 1, "epochs": 100000}}
    job = server.ask("POST", "/v1/jobs", job)
    while not steps():
        time.sleep(0.05)
        if server.ask("GET", f"/v1/jobs/{job['id']}")["status"] not in ("queued", "running"):
            raise SystemExit("the job that was to train beside the calls ended before its first step")
    alone, busy, left = pace(lambda: time.sleep(2 * SECONDS)), {}, {}
    for n in clients:
        left[n] = pace(lambda: busy.update({n: measure(f"beside a training, {n}", url, body, connections=n)}))
    server.ask("POST", f"/v1/jobs/{job['id']}/cancel")
    print(f"{'training steps':34} {alone:10.0f} /s alone, " + ", ".join(f"{steps_left:.0f} beside {n}" for n, steps_left in left.items()))
    return {f"{q} beside a training to quiet, {n}": busy[n][f"{q}_ms"] / quiet[n][f"{q}_ms"] for n in clients for q in ("p50", "p99")}


def main():
    latentd, echo, generator = sys.argv[1:4]
    python = sys.argv[4] if len(sys.argv) > 4 else None
    with tempfile.TemporaryDirectory() as folder:
        folder, port = pathlib.Path(folder), free_port()
        command = [latentd, "serve", "--listen", f"127.0.0.1:{port}", "--data-dir", str(folder / "data"), "--log", "warn"]
        with Server(command, port, "/readyz") as server:
            at_rest = server.memory_mib()
            print(f"from start to ready {server.ready_after:.2f} s; memory at rest {at_rest:.0f} MiB; binary {os.path.getsize(latentd) / 2**20:.0f} MiB")
            prepare(server, folder)
            url, body = server.base + "/v1/models/encoder/encode", folder / "row.json"
            ratios = {}
            if "peers" in PARTS:
                ratios = beside_peers(echo, python, url, body)
            if "batches" in PARTS:
                ratios |= in_batches(python, url, folder)
            if "crowd" in PARTS:
                ratios |= in_a_crowd(server, generator, url, body)
            if "generate" in PARTS:
                one = folder / "generate.json"
                one.write_text('{"n":1,"gibbs_steps":100}')
                measure("RBM generate, 100 Gibbs steps", server.base + "/v1/models/rbm/generate", one)
                one.write_text('{"n":1}')
                measure("DCGAN generate", server.base + "/v1/models/dcgan/generate", one)
                beside_a_chain(server.base, url, body)
            if "training" in PARTS:
                ratios |= beside_training(server, url, body)
    print()
    for what, ratio in ratios.items():
        print(f"{what:46} {ratio:8.2f}")


if __name__ == "__main__":
    main()
