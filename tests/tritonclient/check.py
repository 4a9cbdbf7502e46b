"""Speaks to a running latentd with an unmodified tritonclient, and compares with what /v1 answers.

usage: python check.py http://127.0.0.1:8080

The service has the data set `digits` and, trained on it, the models `net` (an autoencoder), `drawn` (a
conditional VAE) and `reader` (a classifier). Every check is run with the synchronous client and with the one
for asyncio. Ends with 0 if all hold.
"""

import asyncio
import json
import sys
import traceback
import urllib.error
import urllib.request

import numpy as np
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

URL = sys.argv[1].rstrip("/")
HOST = URL.split("://", 1)[-1]
ROWS = 5
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


class Sync:
    """The synchronous client."""

    name = "http"

    def __enter__(self):
        self.client = triton.InferenceServerClient(HOST)
        return self

    def __exit__(self, *_):
        self.client.close()

    def __getattr__(self, call):
        return getattr(self.client, call)


class Asyncio:
    """The client for asyncio, each call run to its end."""

    name = "http.aio"

    def __enter__(self):
        self.loop = asyncio.new_event_loop()

        async def connect():
            return triton_aio.InferenceServerClient(HOST)

        self.client = self.loop.run_until_complete(connect())
        return self

    def __exit__(self, *_):
        self.loop.run_until_complete(self.client.close())
        self.loop.close()

    def __getattr__(self, call):
        function = getattr(self.client, call)
        return lambda *args, **named: self.loop.run_until_complete(function(*args, **named))


# --- /v1 and the data -------------------------------------------------------------------------------


def v1(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(URL + path, data, headers)) as answer:
        return json.load(answer)


def digits(rows=ROWS):
    page = v1(f"/v1/datasets/digits/rows?split=test&limit={rows}")
    return np.array(page["rows"], np.float32).reshape(-1, 64), np.array(page["labels"], np.int64)


def same(found, wanted):
    """Equal to the last bit."""
    wanted = np.array(wanted, found.dtype)
    assert found.size == wanted.size, (found.shape, wanted.shape)
    wanted = wanted.reshape(found.shape)
    assert found.tobytes() == wanted.tobytes(), np.abs(found - wanted).max()


# --- tensors ----------------------------------------------------------------------------------------


def tensor(values, name="inputs", datatype=None, binary=True):
    names = {"float16": "FP16", "float32": "FP32", "float64": "FP64", "uint8": "UINT8",
             "int32": "INT32", "int64": "INT64", "bool": "BOOL"}
    put = triton.InferInput(name, list(values.shape), datatype or names[str(values.dtype)])
    return put.set_data_from_numpy(values, binary_data=binary)


def wanted(name, **how):
    return triton.InferRequestedOutput(name, **how)


def refused(status, said, call, *args, **named):
    """The call must fail with this status, and say this."""
    try:
        call(*args, **named)
    except InferenceServerException as error:
        assert error.status() == str(status), (error.status(), error.message())
        assert said in error.message(), error.message()
        return
    raise AssertionError(f"not refused: {said}")


# --- the server and its models ----------------------------------------------------------------------


@check
def the_server_tells_of_itself(client):
    assert client.is_server_live() and client.is_server_ready()
    metadata = client.get_server_metadata()
    assert metadata["name"] == "latentd" and metadata["version"], metadata
    for extension in ["binary_tensor_data", "classification", "model_configuration",
                      "model_repository", "parameters", "statistics"]:
        assert extension in metadata["extensions"], metadata


@check
def models_are_ready_and_others_are_not(client):
    for model in ["net", "net:decode", "net@best", "drawn", "reader"]:
        assert client.is_model_ready(model), model
    assert client.is_model_ready("net", "1") and client.is_model_ready("net:score", "1")
    assert not client.is_model_ready("net", "9")
    assert not client.is_model_ready("nowhere")
    assert not client.is_model_ready("net:predict")


@check
def metadata_says_what_a_verb_takes_and_answers(client):
    net = client.get_model_metadata("net")
    assert net == {
        "name": "net", "versions": ["1"], "platform": "latentd_autoencoder",
        "inputs": [{"name": "inputs", "datatype": "FP32", "shape": [-1, 1, 8, 8]}],
        "outputs": [{"name": "outputs", "datatype": "FP32", "shape": [-1, 8]}],
    }, net
    assert client.get_model_metadata("net", "1") == net
    decode = client.get_model_metadata("net:decode", "1")
    assert decode["name"] == "net:decode"
    assert decode["inputs"][0]["shape"] == [-1, 8] and decode["outputs"][0]["shape"] == [-1, 1, 8, 8]
    drawn = client.get_model_metadata("drawn")
    assert [t["name"] for t in drawn["inputs"]] == ["inputs", "labels"], drawn
    assert drawn["inputs"][1] == {"name": "labels", "datatype": "INT64", "shape": [-1]}
    assert [t["name"] for t in drawn["outputs"]] == ["outputs", "mean", "log_variance"]
    reader = client.get_model_metadata("reader")
    assert [t["name"] for t in reader["outputs"]] == ["outputs", "probabilities", "labels"]
    refused(404, "nowhere", client.get_model_metadata, "nowhere")
    refused(404, "net:9", client.get_model_metadata, "net", "9")
    refused(404, "no verb", client.get_model_metadata, "net:shout")
    refused(422, "it offers", client.get_model_metadata, "net:predict")


@check
def configuration_has_what_tools_read(client):
    config = client.get_model_config("net")
    assert config["name"] == "net" and config["backend"] == "latentd" and config["platform"]
    assert config["max_batch_size"] > 1 and "dynamic_batching" in config
    assert config["input"][0]["data_type"] == "TYPE_FP32" and config["input"][0]["dims"] == [1, 8, 8]
    assert config["output"][0]["dims"] == [8]
    assert client.get_model_config("net", "1") == config
    draws = client.get_model_config("drawn:generate")
    assert draws["max_batch_size"] == 0 and "dynamic_batching" not in draws
    assert draws["output"][0]["dims"] == [-1, 1, 8, 8] and draws["input"][0]["optional"]
    refused(404, "nowhere", client.get_model_config, "nowhere")


# --- inference --------------------------------------------------------------------------------------


@check
def every_way_of_writing_floats_is_the_same(client):
    rows, _ = digits()
    codes = v1("/v1/models/net/encode", {"inputs": rows.tolist()})["outputs"]
    for shaped in [rows, rows.reshape(-1, 8, 8), rows.reshape(-1, 1, 8, 8)]:
        for binary in [True, False]:
            given = [tensor(shaped, binary=binary)]
            same(client.infer("net", given).as_numpy("outputs"), codes)
            for back in [True, False]:
                outputs = [wanted("outputs", binary_data=back)]
                same(client.infer("net:encode", given, "1", outputs).as_numpy("outputs"), codes)
    for model in ["net@best", "net:1", "net:1:encode", "net@best:encode"]:
        same(client.infer(model, [tensor(rows)]).as_numpy("outputs"), codes)


@check
def other_number_types_are_converted(client):
    rows, _ = digits()
    halves = rows.astype(np.float16)
    codes = v1("/v1/models/net/encode", {"inputs": halves.astype(np.float32).tolist()})["outputs"]
    for values in [halves, halves.astype(np.float64)]:
        for binary in [True, False]:
            same(client.infer("net", [tensor(values, binary=binary)]).as_numpy("outputs"), codes)
    bits = (rows > 0.5).astype(np.uint8)
    codes = v1("/v1/models/net/encode", {"inputs": bits.astype(np.float32).tolist()})["outputs"]
    for values in [bits * 255, bits.astype(np.int32), bits.astype(np.int64), bits.astype(bool)]:
        same(client.infer("net", [tensor(values)]).as_numpy("outputs"), codes)
    shades = np.arange(ROWS * 64, dtype=np.uint8).reshape(-1, 64)
    scaled = shades.astype(np.float32) * np.float32(1 / 255)
    codes = v1("/v1/models/net/encode", {"inputs": scaled.tolist()})["outputs"]
    for binary in [True, False]:
        same(client.infer("net", [tensor(shades, binary=binary)]).as_numpy("outputs"), codes)


@check
def verbs_options_and_extra_outputs(client):
    rows, labels = digits()
    given = [tensor(rows)]
    body = {"inputs": rows.tolist()}
    asked = v1("/v1/models/net/reconstruct", body)
    answer = client.infer("net:reconstruct", given)
    same(answer.as_numpy("outputs"), asked["outputs"])
    assert answer.as_numpy("outputs").shape == (ROWS, 1, 8, 8)
    same(answer.as_numpy("errors"), asked["errors"])

    asked = v1("/v1/models/net/encode", body | {"layer": 0})
    same(client.infer("net", given, parameters={"layer": 0}).as_numpy("outputs"), asked["outputs"])

    noise = {"kind": "mask", "level": 0.3, "seed": 5}
    asked = v1("/v1/models/net/denoise", body | {"corrupt": noise})
    flat = {f"corrupt.{key}": value for key, value in noise.items()}
    for parameters in [{"corrupt": json.dumps(noise)}, flat]:
        answer = client.infer("net:denoise", given, parameters=parameters)
        same(answer.as_numpy("outputs"), asked["outputs"])
        same(answer.as_numpy("inputs"), asked["inputs"])

    mask = np.zeros((ROWS, 64), np.float32)
    mask[:, :32] = 1
    asked = v1("/v1/models/net/inpaint", body | {"mask": mask.reshape(-1).tolist(), "seed": 3})
    for gaps in [mask, mask.astype(bool), mask.astype(np.uint8)]:
        answer = client.infer("net:inpaint", [*given, tensor(gaps, "mask")], parameters={"seed": 3})
        same(answer.as_numpy("outputs"), asked["outputs"])

    asked = v1("/v1/models/net/score", body)
    answer = client.infer("net:score", given)
    assert answer.as_numpy("outputs").shape == (ROWS,)
    same(answer.as_numpy("outputs"), asked["outputs"])
    assert answer.get_response()["parameters"]["metric"] == asked["metric"]

    ends = {"inputs": rows[:2].tolist(), "steps": 4}
    asked = v1("/v1/models/net/interpolate", ends)
    answer = client.infer("net:interpolate", [tensor(rows[:2])], parameters={"steps": 4})
    same(answer.as_numpy("outputs"), asked["outputs"])


@check
def labels_are_a_second_tensor_or_a_parameter(client):
    rows, labels = digits()
    asked = v1("/v1/models/drawn/encode", {"inputs": rows.tolist(), "labels": labels.tolist()})
    for binary in [True, False]:
        for with_rows in [True, False]:
            given = [tensor(rows, binary=with_rows), tensor(labels, "labels", binary=binary)]
            answer = client.infer("drawn", given)
            for name in ["outputs", "mean", "log_variance"]:
                same(answer.as_numpy(name), asked[name])
    said = {"labels": json.dumps(labels.tolist())}
    same(client.infer("drawn", [tensor(rows)], parameters=said).as_numpy("mean"), asked["mean"])
    some = [wanted("log_variance"), wanted("outputs", binary_data=False)]
    answer = client.infer("drawn", given, outputs=some)
    assert [o["name"] for o in answer.get_response()["outputs"]] == ["log_variance", "outputs"]
    same(answer.as_numpy("log_variance"), asked["log_variance"])
    same(answer.as_numpy("outputs"), asked["outputs"])
    assert answer.as_numpy("mean") is None
    refused(422, "labels", client.infer, "drawn", [tensor(rows)])
    refused(422, "labels", client.infer, "drawn", [tensor(rows), tensor(labels[:2], "labels")])
    refused(422, "between 0 and 9", client.infer, "drawn",
            [tensor(rows), tensor(labels + 10, "labels")])
    refused(422, "no input", client.infer, "net", [tensor(rows), tensor(labels, "labels")])


@check
def samples_need_no_tensor(client):
    asked = v1("/v1/models/drawn/generate", {"n": 4, "seed": 9, "temperature": 0.5})
    parameters = {"n": 4, "seed": 9, "temperature": 0.5}
    answer = client.infer("drawn:generate", [], parameters=parameters)
    assert answer.as_numpy("outputs").shape == (4, 1, 8, 8)
    same(answer.as_numpy("outputs"), asked["outputs"])
    assert answer.get_response()["parameters"]["seed"] == 9
    drawn = client.infer("drawn:generate", [])
    again = {"seed": drawn.get_response()["parameters"]["seed"]}
    same(client.infer("drawn:generate", [], parameters=again).as_numpy("outputs"),
         drawn.as_numpy("outputs"))
    threes = np.array([3, 3, 3], np.int64)
    asked = v1("/v1/models/drawn/generate", {"labels": [3, 3, 3], "seed": 1})
    answer = client.infer("drawn:generate", [tensor(threes, "labels")], parameters={"seed": 1})
    same(answer.as_numpy("outputs"), asked["outputs"])
    refused(422, "no input", client.infer, "drawn:generate", [tensor(digits()[0])])
    refused(422, "temperature", client.infer, "drawn:generate", [], parameters={"temperature": 0.0})


@check
def a_classifier_answers_classes(client):
    rows, _ = digits()
    asked = v1("/v1/models/reader/predict", {"inputs": rows.tolist()})
    answer = client.infer("reader", [tensor(rows)])
    same(answer.as_numpy("outputs"), asked["outputs"])
    same(answer.as_numpy("probabilities"), asked["probabilities"])
    assert answer.as_numpy("labels").dtype == np.int64
    same(answer.as_numpy("labels"), asked["labels"])
    for binary in [True, False]:
        best = [wanted("probabilities", binary_data=binary, class_count=3)]
        found = client.infer("reader", [tensor(rows)], outputs=best).as_numpy("probabilities")
        assert found.shape == (ROWS, 3), found
        for row, label, chances in zip(found, asked["labels"], asked["probabilities"]):
            text = row[0].decode() if isinstance(row[0], bytes) else str(row[0])
            value, index = text.split(":")
            assert int(index) == label and np.float32(value) == np.float32(max(chances)), text
    refused(422, "classification", client.infer, "reader", [tensor(rows)],
            outputs=[wanted("labels", class_count=2)])


@check
def bodies_may_be_compressed_both_ways(client):
    rows, _ = digits(60)
    images = v1("/v1/models/net/reconstruct", {"inputs": rows.tolist()})["outputs"]
    for sent in [None, "gzip", "deflate"]:
        for got in [None, "gzip", "deflate"]:
            for binary in [True, False]:
                answer = client.infer("net:reconstruct", [tensor(rows, binary=binary)],
                                      outputs=[wanted("outputs", binary_data=binary)],
                                      request_compression_algorithm=sent,
                                      response_compression_algorithm=got)
                same(answer.as_numpy("outputs"), images)


@check
def ids_timeouts_and_priorities(client):
    rows, _ = digits()
    given = [tensor(rows)]
    answer = client.infer("net", given, request_id="mine", priority=1, timeout=30_000_000)
    response = answer.get_response()
    assert response["id"] == "mine" and response["model_name"] == "net"
    assert response["model_version"] == "1"
    for priority in [2, 3, 77]:
        client.infer("net", given, priority=priority)
    refused(504, "deadline", client.infer, "net", given, timeout=1)
    refused(422, "timeout", client.infer, "net", given, timeout=-5)
    refused(422, "sequence", client.infer, "net", given, sequence_id=3, sequence_start=True)


@check
def what_is_wrong_is_said(client):
    rows, _ = digits()
    refused(404, "nowhere", client.infer, "nowhere", [tensor(rows)])
    refused(404, "net:7", client.infer, "net", [tensor(rows)], "7")
    refused(404, "no verb", client.infer, "net:shout", [tensor(rows)])
    refused(422, "it offers: encode", client.infer, "net:predict", [tensor(rows)])
    refused(422, "missing", client.infer, "net", [])
    refused(422, "no input \"x\"; inputs are: inputs", client.infer, "net", [tensor(rows, "x")])
    refused(422, "twice", client.infer, "net", [tensor(rows), tensor(rows)])
    refused(422, "64", client.infer, "net", [tensor(rows[:, :63].copy())])
    refused(422, "at least one row", client.infer, "net", [tensor(rows[:0])])
    refused(422, "there are: outputs", client.infer, "net", [tensor(rows)], outputs=[wanted("y")])
    refused(422, "layr", client.infer, "net", [tensor(rows)], parameters={"layr": 1})
    refused(422, "layer", client.infer, "net", [tensor(rows)], parameters={"layer": 9})
    odd = rows.copy()
    odd[2, 3] = np.nan
    refused(422, "finite", client.infer, "net", [tensor(odd)])
    text = np.array([["a"]], object)
    refused(422, "numbers", client.infer, "net", [tensor(text, datatype="BYTES")])
    shared = triton.InferInput("inputs", [1, 64], "FP32")
    shared.set_shared_memory("region", 256)
    refused(422, "shared memory", client.infer, "net", [shared])
    out = wanted("outputs")
    out.set_shared_memory("region", 256)
    refused(422, "shared memory", client.infer, "net", [tensor(rows)], outputs=[out])


# --- the repository and statistics ------------------------------------------------------------------


@check
def models_are_loaded_and_unloaded(client):
    rows, _ = digits()

    def state():
        index = client.get_model_repository_index()
        assert {entry["name"] for entry in index} == {"net", "drawn", "reader"}, index
        entry, = [entry for entry in index if entry["name"] == "net"]
        assert entry["version"] == "1"
        return entry["state"], entry["reason"]

    client.load_model("net")
    assert state() == ("READY", "") and client.is_model_ready("net")
    for back in [lambda: client.load_model("net"), lambda: client.infer("net", [tensor(rows)]),
                 lambda: v1("/v1/models/net/encode", {"inputs": rows.tolist()})]:
        client.unload_model("net")
        assert state() == ("UNAVAILABLE", "unloaded")
        assert not client.is_model_ready("net") and not client.is_model_ready("net", "1")
        assert client.is_model_ready("drawn")
        back()
        assert state() == ("READY", "") and client.is_model_ready("net")
    client.unload_model("net:1", unload_dependents=True)
    assert not client.is_model_ready("net")
    client.load_model("net@best")
    assert client.is_model_ready("net")
    refused(404, "nowhere", client.load_model, "nowhere")
    refused(404, "nowhere", client.unload_model, "nowhere")
    refused(422, "config", client.load_model, "net", config="{}")


@check
def statistics_count_requests(client):
    rows, _ = digits()

    def of(*which):
        stats, = client.get_inference_statistics(*which)["model_stats"]
        return stats

    before = of("net", "1")
    client.infer("net", [tensor(rows)])
    client.infer("net:score", [tensor(rows[:1])])
    after = of("net")
    assert after["name"] == "net" and after["version"] == "1"
    assert after["inference_count"] == before["inference_count"] + ROWS + 1, (before, after)
    assert after["execution_count"] == before["execution_count"] + 2
    assert after["last_inference"] > 1_500_000_000_000
    for part in ["success", "fail", "queue", "compute_input", "compute_infer", "compute_output",
                 "cache_hit", "cache_miss"]:
        assert set(after["inference_stats"][part]) == {"count", "ns"}, after
    assert after["inference_stats"]["success"]["count"] >= 2
    assert any(batch["batch_size"] == ROWS for batch in after["batch_stats"]), after
    everything = client.get_inference_statistics()["model_stats"]
    assert [s["name"] for s in everything] == ["drawn", "net", "reader"], everything
    refused(404, "nowhere", client.get_inference_statistics, "nowhere")
    refused(404, "net:9", client.get_inference_statistics, "net", "9")


def calls_side_by_side():
    """The synchronous client's own way of asking several things at once, and asyncio's."""
    rows, _ = digits(8)
    codes = v1("/v1/models/net/encode", {"inputs": rows.tolist()})["outputs"]
    with triton.InferenceServerClient(HOST, concurrency=4) as client:
        waiting = [client.async_infer("net", [tensor(rows[i:i + 1])]) for i in range(8)]
        for request, code in zip(waiting, codes):
            found = request.get_result().as_numpy("outputs")
            assert np.allclose(found, code, atol=1e-5), (found, code)
        try:
            client.async_infer("nowhere", [tensor(rows)]).get_result()
            raise AssertionError("not refused")
        except InferenceServerException as error:
            assert error.status() == "404", error

    async def together():
        async with triton_aio.InferenceServerClient(HOST) as client:
            return await asyncio.gather(
                *(client.infer("net", [tensor(rows[i:i + 1])]) for i in range(8)))

    for answer, code in zip(asyncio.run(together()), codes):
        assert np.allclose(answer.as_numpy("outputs"), code, atol=1e-5)


def main():
    failed = 0
    for kind in [Sync, Asyncio]:
        with kind() as client:
            for function in CHECKS:
                failed += not holds(f"{kind.name}: {function.__name__}", function, client)
    failed += not holds("calls_side_by_side", calls_side_by_side)
    print(f"{2 * len(CHECKS) + 1} checks with tritonclient {triton_version()}, {failed} failed")
    return 1 if failed else 0


def holds(name, function, *args):
    try:
        function(*args)
        return True
    except Exception:
        print(f"--- {name}")
        traceback.print_exc(file=sys.stdout)
        return False


def triton_version():
    from importlib.metadata import version
    return version("tritonclient")


sys.exit(main())
