"""Runs ONNX files with onnxruntime and compares what comes out with what should.

    python crates/models/tests/onnx/check.py FOLDER

FOLDER holds a folder for each case: model.onnx, in.<name>.npy for each input, out.<name>.npy for
each output, and a title. Needs onnxruntime, onnx and numpy. Ends with 1 if anything is off by more
than 1e-5 of the outputs' own scale.
"""

import pathlib
import sys

import numpy
import onnx
import onnxruntime

LIMIT = 1e-5


def arrays(case, way):
    """The arrays of a case that go "in" or come "out", by name."""
    files = sorted(case.glob(f"{way}.*.npy"))
    return {file.name[len(way) + 1 : -len(".npy")]: numpy.load(file) for file in files}


def off_by(found, expected):
    """The greatest difference, as a share of the greatest value; infinite for another kind or shape."""
    if found.dtype != expected.dtype or found.shape != expected.shape:
        return numpy.inf
    if found.dtype == numpy.int64:
        return 0.0 if (found == expected).all() else numpy.inf
    scale = max(1.0, float(numpy.abs(expected).max()))
    return float(numpy.abs(found - expected).max()) / scale


def check(case):
    """The greatest difference of one case: with all rows at once, and with the last alone."""
    model = onnx.load(case / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    given, expected = arrays(case, "in"), arrays(case, "out")
    names = [output.name for output in session.get_outputs()]
    worst = 0.0
    for rows in (slice(None), slice(-1, None)):
        answer = session.run(names, {name: x[rows] for name, x in given.items()})
        for name, found in zip(names, answer):
            worst = max(worst, off_by(found, expected[name][rows]))
    return worst


def main():
    cases = sorted(path.parent for path in pathlib.Path(sys.argv[1]).glob("*/model.onnx"))
    if not cases:
        sys.exit("there is nothing to check")
    wrong = 0
    for case in cases:
        worst = check(case)
        wrong += worst > LIMIT
        verdict = "WRONG" if worst > LIMIT else "ok"
        print(f"{worst:9.2e}  {verdict:5}  {(case / 'title').read_text()}")
    print(f"{len(cases)} graphs, onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}")
    sys.exit(1 if wrong else 0)


main()
