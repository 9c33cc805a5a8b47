"""The walk-through's notebook and what goes beyond it, with the SageMaker Python SDK 3."""

import io
import json
import time
from pathlib import Path

import boto3
import numpy as np
from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import Endpoint, EndpointConfig, Model, TransformJob
from sagemaker.core.shapes import (
    AsyncInferenceConfig,
    AsyncInferenceOutputConfig,
    ContainerDefinition,
    MetricDefinition,
    MultiModelConfig,
    ProductionVariant,
    TransformDataSource,
    TransformInput,
    TransformOutput,
    TransformResources,
    TransformS3DataSource,
)
from sagemaker.core.training.configs import Compute, InputData, SourceCode
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train import ModelTrainer

NPY = "application/x-npy"
KIND = "ml.m5.large"
seconds = {}
found = {"seconds": seconds}
began = [time.perf_counter()]


def timed(name):
    """Note how long it took since the last one."""
    began.append(time.perf_counter())
    seconds[name] = round(began[-1] - began[-2], 2)


def written(array):
    """Return an array as bytes; this SDK leaves that to its user."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def ask(endpoint, array, **more):
    """Send queries to an endpoint, and return distances and rows."""
    answer = endpoint.invoke(body=written(array), content_type=NPY, accept=NPY, **more)
    return np.load(io.BytesIO(answer.body.read())).tolist()


def hosted(name, container, **more):
    """Create model, configuration and endpoint, and wait."""
    model = Model.create(model_name=name, primary_container=container, execution_role_arn=role)
    variant = ProductionVariant(
        variant_name="AllTraffic", model_name=name, instance_type=KIND, initial_instance_count=1
    )
    config = EndpointConfig.create(endpoint_config_name=name, production_variants=[variant], **more)
    endpoint = Endpoint.create(endpoint_name=name, endpoint_config_name=name)
    endpoint.wait_for_status("InService")
    return model, config, endpoint


session = Session()
role = get_execution_role()
bucket = session.default_bucket()
region = session.boto_region_name
image = image_uris.retrieve("sklearn", region, version="1.9-0", instance_type=KIND)
wines = np.load("wines.npy")
vector, batch = wines[7], wines[:3]
timed("session")

train = session.upload_data("wines.npy", bucket=bucket, key_prefix="wines")
queries = session.upload_data("queries.csv", bucket=bucket, key_prefix="queries")
packaged = session.upload_data("packaged.tar.gz", bucket=bucket, key_prefix="many")
query = session.upload_data("query.npy", bucket=bucket, key_prefix="async-in")
timed("upload")

trainer = ModelTrainer(
    training_image=image,
    source_code=SourceCode(source_dir="code", entry_script="sklearn_nearest_neighbors.py"),
    compute=Compute(instance_type=KIND, instance_count=1),
    hyperparameters={"metric": "cosine", "n_neighbors": 10},
    base_job_name="wines",
).with_metric_definitions([MetricDefinition(name="rows", regex=r"\brows=(\d+)")])
trainer.train([InputData(channel_name="train", data_source=train)], logs=True)
job = trainer._latest_training_job
job.refresh()
found["metrics"] = {one.metric_name: one.value for one in job.final_metric_data_list}
found["status"] = [job.training_job_status, job.secondary_status]
artifact = job.model_artifacts.s3_model_artifacts
timed("train")

builder = ModelBuilder(image_uri=image, s3_model_data_url=artifact, role_arn=role)
builder.build(model_name="wines")
predictor = builder.deploy(endpoint_name="wines", instance_type=KIND, initial_instance_count=1)
timed("deploy")
found["vector"] = ask(predictor, vector)
found["batch"] = ask(predictor, batch)
try:
    ask(predictor, vector[:5])
except Exception as error:
    found["refused"] = [type(error).__name__, str(error)]
timed("predict")

second = ContainerDefinition(image=image, model_data_url=artifact)
new = hosted("newer", second)
endpoint = Endpoint.get("wines")
endpoint.endpoint_config_name = "newer"
endpoint.update()
endpoint.wait_for_status("InService")
found["updated"] = ask(endpoint, vector)
timed("update")

transform = TransformJob.create(
    transform_job_name="wines",
    model_name="newer",
    transform_input=TransformInput(
        data_source=TransformDataSource(
            s3_data_source=TransformS3DataSource(s3_data_type="S3Prefix", s3_uri=queries)
        ),
        content_type="text/csv",
        split_type="Line",
    ),
    transform_output=TransformOutput(
        s3_output_path=f"s3://{bucket}/transformed", accept="text/csv", assemble_with="Line"
    ),
    transform_resources=TransformResources(instance_type=KIND, instance_count=1),
)
transform.wait()
s3 = boto3.client("s3")
body = s3.get_object(Bucket=bucket, Key="transformed/queries.csv.out")["Body"]
found["transformed"] = body.read().decode()
timed("transform")

output = AsyncInferenceOutputConfig(s3_output_path=f"s3://{bucket}/async")
slow = hosted("slow", second, async_inference_config=AsyncInferenceConfig(output_config=output))
answer = slow[2].invoke_async(input_location=query, content_type=NPY, accept=NPY)
out_bucket, _, key = answer.output_location.removeprefix("s3://").partition("/")
s3.get_waiter("object_exists").wait(Bucket=out_bucket, Key=key)
body = s3.get_object(Bucket=out_bucket, Key=key)["Body"].read()
found["async"] = np.load(io.BytesIO(body)).tolist()
timed("async")

container = ContainerDefinition(
    image=image,
    mode="MultiModel",
    model_data_url=f"s3://{bucket}/many/",
    multi_model_config=MultiModelConfig(model_cache_setting="Enabled"),
)
many = hosted("many", container)
found["many"] = ask(many[2], vector, target_model="packaged.tar.gz")
timed("multi-model")

for one in (*new, *slow, *many, endpoint):
    one.delete()
EndpointConfig.get("wines").delete()
Model.get("wines").delete()
client = boto3.client("sagemaker")
while client.list_endpoints()["Endpoints"]:
    time.sleep(10)
found["left"] = len(client.list_models()["Models"])
timed("delete")

Path("found.json").write_text(json.dumps(found))
