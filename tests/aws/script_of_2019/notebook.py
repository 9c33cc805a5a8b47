"""The notebook beside the script, in the words of the SDK 2."""

import json

import numpy as np
from sagemaker.sklearn import SKLearn

import sagemaker

session = sagemaker.Session()
role = sagemaker.get_execution_role()
corpus = session.upload_data("wines.csv", key_prefix="wines")
estimator = SKLearn(
    entry_point="sklearn_nearest_neighbors.py",
    framework_version="0.20.0",
    py_version="py3",
    role=role,
    instance_count=1,
    instance_type="ml.c4.xlarge",
    hyperparameters={"n_neighbors": 10, "metric": "cosine", "corpus": corpus},
    metric_definitions=[{"Name": "rows", "Regex": r"rows=(\d+);"}],
)
estimator.fit()
job = session.describe_training_job(estimator.latest_training_job.name)
predictor = estimator.deploy(initial_instance_count=1, instance_type="ml.t2.medium")
vector = np.loadtxt("wines.csv", delimiter=",")[7]
found = {
    "answer": predictor.predict(vector).tolist(),
    "metrics": {one["MetricName"]: one["Value"] for one in job["FinalMetricDataList"]},
}
predictor.delete_endpoint()
with open("found.json", "w") as file:
    json.dump(found, file)
