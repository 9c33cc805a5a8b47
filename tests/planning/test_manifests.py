"""The manifests for KubeRay are what its resources and Ray's own schemas ask for."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from kneighbors.cli import serve, train

FOLDER = Path(__file__).parents[2] / "operations" / "kuberay"
#: Fields of KubeRay's resources, version ray.io/v1, that must be there.
HEAD = {"rayStartParams", "template"}
WORKERS = {"groupName", "minReplicas", "maxReplicas", "rayStartParams", "template"}


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")))


def cluster_of(document: dict[str, Any]) -> dict[str, Any]:
    name = {"RayService": "rayClusterConfig", "RayJob": "rayClusterSpec"}[document["kind"]]
    found: dict[str, Any] = document["spec"][name]
    return found


@pytest.mark.parametrize("name", ["rayservice.yaml", "rayjob.yaml"])
def test_a_cluster_has_the_fields_that_its_resource_requires(name: str) -> None:
    document = documents(name)[0]
    assert document["apiVersion"] == "ray.io/v1"
    cluster = cluster_of(document)
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group, required in zip(groups, [HEAD, *[WORKERS] * (len(groups) - 1)], strict=True):
        assert required - set(group) == set()
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = group["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
            assert container["resources"]["limits"]["memory"]


def test_the_job_is_a_command_that_this_version_has() -> None:
    from kneighbors.cli.app import application

    spec = documents("rayjob.yaml")[0]["spec"]
    program, name, *arguments = shlex.split(spec["entrypoint"])
    assert (program, name) == ("kneighbors", "train")
    context = train.command.make_context("train", arguments)
    assert context.params["cluster"] == "auto"
    assert name in application.list_commands(context)


def test_the_front_serves_where_the_service_and_the_ports_point() -> None:
    document, service = documents("rayservice.yaml")
    (application,) = yaml.safe_load(document["spec"]["serveConfigV2"])["applications"]
    arguments = application["args"]["arguments"]
    (workers,) = cluster_of(document)["workerGroupSpecs"]
    (port,) = workers["template"]["spec"]["containers"][0]["ports"]
    (target,) = service["spec"]["ports"]
    said = {
        application["args"]["port"],
        int(arguments[arguments.index("--port") + 1]),
        port["containerPort"],
        target["targetPort"],
    }
    assert said == {8080}
    context = serve.command.make_context("serve", list(arguments))
    assert (context.params["cluster"], int(context.params["replicas"])) == ("auto", 2)
    labels = workers["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert application["deployments"][0]["num_replicas"] == workers["replicas"]


def test_the_application_is_valid_by_the_schema_of_ray_serve() -> None:
    schema = pytest.importorskip("ray.serve.schema", exc_type=ImportError)
    config = yaml.safe_load(documents("rayservice.yaml")[0]["spec"]["serveConfigV2"])
    found = schema.ServeDeploySchema.model_validate(config)
    module, _, name = found.applications[0].import_path.partition(":")
    assert (module, name) == ("kneighbors.cluster.front", "application")


def test_the_job_is_valid_by_the_schema_of_rays_job_server() -> None:
    common = pytest.importorskip("ray.dashboard.modules.job.common", exc_type=ImportError)
    spec = documents("rayjob.yaml")[0]["spec"]
    request = common.JobSubmitRequest(entrypoint=spec["entrypoint"])
    assert request.entrypoint == spec["entrypoint"]
