"""Nearest neighbours on SageMaker: trains as a program, answers as a module. Yours to edit.

As ``entry_point`` of a training job this is run as a program, with the hyperparameters as
arguments. Where the model is hosted it is imported, and the four functions at its end are called:
`model_fn` once, the others for each request. Each of them can be changed or left out by itself.

    python sklearn_nearest_neighbors.py --train wines.npy --model-dir model --metric cosine
"""

import argparse
import os
import sys

from kneighbors.errors import KNeighborsError
from kneighbors.sagemaker import handlers


def parse_arguments(arguments=None):
    """Return the arguments that were given; SageMaker's variables say the rest."""
    parser = argparse.ArgumentParser(
        description="Save the nearest neighbours of a corpus. Every option is a hyperparameter.",
        argument_default=argparse.SUPPRESS,
    )
    # The channel "train"; also an address such as s3://bucket/wines.npy.
    parser.add_argument("--train", help="corpus: a file or a directory (SM_CHANNEL_TRAIN)")
    parser.add_argument("--model-dir", help="where the artifact goes (SM_MODEL_DIR)")
    parser.add_argument("--output-data-dir", help="where report.json goes (SM_OUTPUT_DATA_DIR)")
    parser.add_argument("--metric", help="cosine, euclidean, sqeuclidean or inner_product")
    parser.add_argument(
        *("--n_neighbors", "--n-neighbors"), help="neighbours where a request names no number"
    )
    for name in (
        *("vector_column", "vector_columns", "id_column", "columns", "ids", "items"),
        *("vocabulary", "lists", "algorithm", "target_recall", "latency_ms", "sample_queries"),
        *("hnsw_m", "hnsw_ef_construction", "hnsw_ef_search"),
    ):
        parser.add_argument(
            f"--{name}", f"--{name.replace('_', '-')}", help="see `kneighbors train`"
        )
    parser.add_argument("--seed", help="seed of what the fit samples")
    parser.add_argument("--overwrite", help="true to replace an artifact")
    parser.add_argument(
        *("--checkpoint_dir", "--checkpoint-dir"), help="what an interrupted job goes on from"
    )
    return vars(parser.parse_args(arguments))


def main():
    """Read the corpus, save the artifact, print one metric a line."""
    # Here, since hosting needs none of it.
    from kneighbors.sagemaker.training import TrainingSettings, train_host

    try:
        report = train_host(TrainingSettings.resolve(parse_arguments(), os.environ), say=print)
    except KNeighborsError as error:
        sys.exit(f"error: [{error.code}] {error}")
    # Of several hosts, one may have nothing to fit.
    for line in report.metric_lines() if report else ():
        print(line)


def model_fn(model_dir):
    """Open the artifact. What this returns is the `model` of `predict_fn`.

    It searches by itself as well: ``distances, rows = model.kneighbors(vectors, 10)``.
    """
    return handlers.model_fn(model_dir)


def input_fn(body, content_type, context=None):
    """Read a request in any format that kneighbors knows.

    What this returns is the `data` of `predict_fn`. A vector or a matrix of your own will do.
    """
    return handlers.input_fn(body, content_type, context)


def predict_fn(data, model):
    """Find the nearest neighbours of each query, as many as the request or the training says."""
    return handlers.predict_fn(data, model)


def output_fn(prediction, accept):
    """Write the answer as the client wants it: bytes and their content type.

    As ``application/x-npy``, a vector gets an array of shape (2, k), distances over row numbers,
    and a matrix of n vectors one of shape (2, n, k).
    """
    return handlers.output_fn(prediction, accept)


if __name__ == "__main__":
    main()
