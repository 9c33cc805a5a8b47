"""A script-mode script as they were written in 2019: it runs unchanged, faults and all.

It installs a package when it is imported, imports what scikit-learn and AWS have removed since,
reads its corpus from a bucket, and drops the first of eleven neighbours.
"""

import argparse
import os
import subprocess
import sys

subprocess.check_call([sys.executable, "-m", "pip", "install", "s3fs"])

import numpy as np
import pandas as pd
import s3fs
from sagemaker_containers.beta.framework import encoders, worker
from sklearn.externals import joblib
from sklearn.neighbors import NearestNeighbors

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--n_neighbors", type=int, default=10)
    parser.add_argument("--metric", type=str, default="cosine")
    parser.add_argument("--corpus", type=str)
    parser.add_argument("--output-data-dir", type=str, default=os.environ["SM_OUTPUT_DATA_DIR"])
    parser.add_argument("--model-dir", type=str, default=os.environ["SM_MODEL_DIR"])
    args, _ = parser.parse_known_args()

    print("s3fs", s3fs.__version__)
    vectors = pd.read_csv(args.corpus, header=None).values
    nearest = NearestNeighbors(n_neighbors=args.n_neighbors, metric=args.metric)
    nearest.fit(vectors)
    joblib.dump(nearest, os.path.join(args.model_dir, "model.joblib"))
    print("rows=%d;" % len(vectors))


def model_fn(model_dir):
    """Load what training has saved."""
    return joblib.load(os.path.join(model_dir, "model.joblib"))


def predict_fn(input_data, model):
    """Find eleven neighbours of one query, and drop the first."""
    distances, indices = model.kneighbors(np.array(input_data).reshape(1, -1), n_neighbors=11)
    return [distances[0][1:], indices[0][1:]]


def output_fn(prediction, accept):
    """Write distances over indices as one array."""
    return worker.Response(encoders.encode(np.array(prediction), accept), mimetype=accept)
