"""The walk-through's notebook and what goes beyond it, with the SageMaker Python SDK 2."""

import json
import time
from pathlib import Path

import boto3
import numpy as np
from sagemaker.async_inference import AsyncInferenceConfig
from sagemaker.multidatamodel import MultiDataModel
from sagemaker.serializers import CSVSerializer
from sagemaker.sklearn import SKLearn, SKLearnModel

import sagemaker

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
CODE = {"entry_point": "sklearn_nearest_neighbors.py", "source_dir": "code", "image_uri": IMAGE}
KIND = {"instance_type": "ml.m5.large"}
seconds = {}
found = {"seconds": seconds}
began = [time.perf_counter()]


def timed(name):
    """Note how long it took since the last one."""
    began.append(time.perf_counter())
    seconds[name] = round(began[-1] - began[-2], 2)


session = sagemaker.Session()
role = sagemaker.get_execution_role()
bucket = session.default_bucket()
wines = np.load("wines.npy")
vector, batch = wines[7], wines[:3]
timed("session")

train = session.upload_data("wines.npy", bucket=bucket, key_prefix="wines")
queries = session.upload_data("queries.csv", bucket=bucket, key_prefix="queries")
timed("upload")

estimator = SKLearn(
    **CODE,
    role=role,
    instance_count=1,
    **KIND,
    hyperparameters={"metric": "cosine", "n_neighbors": 10},
    metric_definitions=[{"Name": "rows", "Regex": r"\brows=(\d+)"}],
)
estimator.fit({"train": train})
job = session.describe_training_job(estimator.latest_training_job.name)
found["metrics"] = {one["MetricName"]: one["Value"] for one in job["FinalMetricDataList"]}
found["status"] = [job["TrainingJobStatus"], job["SecondaryStatus"]]
timed("fit")

predictor = estimator.deploy(initial_instance_count=1, **KIND)
timed("deploy")
found["vector"] = predictor.predict(vector).tolist()
found["batch"] = predictor.predict(batch).tolist()
timed("predict")
try:
    predictor.predict(vector[:5])
except predictor.sagemaker_session.sagemaker_runtime_client.exceptions.ModelError as error:
    found["refused"] = [error.response["Error"]["Code"], str(error)]

predictor.update_endpoint(initial_instance_count=2, **KIND)
found["updated"] = predictor.predict(vector).tolist()
timed("update")

transformer = estimator.transformer(
    1, "ml.m5.large", accept="text/csv", assemble_with="Line", strategy="MultiRecord"
)
transformer.transform(queries, content_type="text/csv", split_type="Line")
out_bucket, _, out_key = transformer.output_path.removeprefix("s3://").partition("/")
body = boto3.client("s3").get_object(Bucket=out_bucket, Key=f"{out_key}/queries.csv.out")["Body"]
found["transformed"] = body.read().decode()
timed("transform")

model = SKLearnModel(model_data=estimator.model_data, role=role, sagemaker_session=session, **CODE)
asynchronous = model.deploy(
    1,
    **KIND,
    async_inference_config=AsyncInferenceConfig(output_path=f"s3://{bucket}/async"),
)
found["async"] = asynchronous.predict(vector).tolist()
timed("async")

many = MultiDataModel(
    name="many",
    model_data_prefix=f"s3://{bucket}/many/",
    model=SKLearnModel(
        model_data=estimator.model_data, role=role, sagemaker_session=session, **CODE
    ),
    sagemaker_session=session,
)
several = many.deploy(1, **KIND)
many.add_model(model_data_source="packaged.tar.gz", model_data_path="one.tar.gz")
many.add_model(model_data_source="packaged.tar.gz", model_data_path="two.tar.gz")
found["models"] = sorted(many.list_models())
found["many"] = several.predict(vector, target_model="two.tar.gz").tolist()
timed("multi-model")

several.serializer = CSVSerializer()
found["csv"] = several.predict(vector.tolist(), target_model="one.tar.gz").tolist()

for one in (predictor, asynchronous, several):
    one.delete_model()
    one.delete_endpoint()
transformer.delete_model()
client = boto3.client("sagemaker")
while client.list_endpoints()["Endpoints"]:
    time.sleep(10)
found["left"] = len(client.list_models()["Models"])
timed("delete")

Path("found.json").write_text(json.dumps(found))
