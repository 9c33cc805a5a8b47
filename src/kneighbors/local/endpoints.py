"""Endpoints: what clients ask of them; `kneighbors.local.hosting` does it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kneighbors.local.deployment import DeploymentPlan, VariantPlan, plan
from kneighbors.local.faults import Fault, invalid
from kneighbors.local.kinds import ENDPOINT_CONFIGS, ENDPOINTS
from kneighbors.local.operations import Request, operation
from kneighbors.local.tags import forget_tags

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane

Document = dict[str, Any]
_STATUS = "EndpointStatus"
_IN_PROGRESS = {"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"}


@operation("CreateEndpoint")
def create_endpoint(plane: Plane, request: Request) -> dict[str, Any]:
    """Note an endpoint and begin to bring it up."""
    name = request["EndpointName"]
    _check_deployment(request.get("DeploymentConfig"))
    wanted = plan(plane, request["EndpointConfigName"])
    now = time.time()
    document = {
        "EndpointName": name,
        "EndpointConfigName": wanted.config,
        _STATUS: "Creating",
        "CreationTime": now,
        "LastModifiedTime": now,
        "LastDeploymentConfig": request.get("DeploymentConfig"),
        "_wanted": wanted.as_document(),
    }
    answer = ENDPOINTS.create(plane, request, document)
    plane.hosting.create(name, wanted)
    return answer


@operation("DescribeEndpoint")
def describe_endpoint(plane: Plane, request: Request) -> dict[str, Any]:
    """Return an endpoint's state."""
    document = ENDPOINTS.found(plane, request["EndpointName"])
    described = ENDPOINTS.describe(plane, request)
    if document.get("_serving") and document[_STATUS] != "Failed":
        described["ProductionVariants"] = _summaries(plane, request["EndpointName"], document)
    return described


operation("ListEndpoints")(ENDPOINTS.list)


@operation("UpdateEndpoint")
def update_endpoint(plane: Plane, request: Request) -> dict[str, Any]:
    """Begin to bring up another configuration; the present one serves until that one is well."""
    name = request["EndpointName"]
    _check_deployment(request.get("DeploymentConfig"))
    # As on AWS, which compares the two.
    ENDPOINT_CONFIGS.found(plane, ENDPOINTS.found(plane, name)["EndpointConfigName"])
    wanted = plan(plane, request["EndpointConfigName"])
    excluded = {
        one["VariantPropertyType"] for one in request.get("ExcludeRetainedVariantProperties", [])
    }
    if excluded and not request.get("RetainAllVariantProperties"):
        raise invalid("ExcludeRetainedVariantProperties needs RetainAllVariantProperties.")

    def begin(current: Document) -> Document:
        _refuse_busy(current)
        change = {_STATUS: "Updating", "FailureReason": None, "LastModifiedTime": time.time()}
        if request.get("DeploymentConfig"):
            change["LastDeploymentConfig"] = request["DeploymentConfig"]
        return {**current, **change}

    document = _changed(plane, name, begin)
    if request.get("RetainAllVariantProperties"):
        wanted = _retained(wanted, DeploymentPlan.from_document(document["_serving"]), excluded)
    plane.hosting.update(name, wanted)
    return {"EndpointArn": document["EndpointArn"]}


@operation("UpdateEndpointWeightsAndCapacities")
def update_weights(plane: Plane, request: Request) -> dict[str, Any]:
    """Begin to change weights and counts of an endpoint's variants."""
    name = request["EndpointName"]
    asked = {one["VariantName"]: one for one in request["DesiredWeightsAndCapacities"]}

    def begin(current: Document) -> Document:
        _refuse_busy(current)
        serving = DeploymentPlan.from_document(current["_serving"])
        unknown = asked.keys() - {one.name for one in serving.variants}
        if unknown:
            raise invalid(
                f"Variant(s) {', '.join(sorted(unknown))} not found in endpoint "
                f'"{current["EndpointArn"]}".'
            )
        for one in serving.variants:
            _resized(one, asked.get(one.name, {}))
        change = {_STATUS: "Updating", "FailureReason": None, "LastModifiedTime": time.time()}
        return {**current, **change}

    document = _changed(plane, name, begin)
    serving = DeploymentPlan.from_document(document["_serving"])
    plane.hosting.scale(name, [_resized(one, asked.get(one.name, {})) for one in serving.variants])
    return {"EndpointArn": document["EndpointArn"]}


@operation("DeleteEndpoint")
def delete_endpoint(plane: Plane, request: Request) -> None:
    """Begin to end an endpoint."""
    name = request["EndpointName"]

    def begin(current: Document) -> Document:
        if current[_STATUS] in _IN_PROGRESS:
            raise _in_progress(current)
        return {**current, _STATUS: "Deleting", "LastModifiedTime": time.time()}

    document = _changed(plane, name, begin)
    forget_tags(plane, document["EndpointArn"])
    plane.hosting.remove(name)


def _changed(plane: Plane, name: str, change: Any) -> Document:
    document = plane.records.update(ENDPOINTS.record, name, change)
    if document is None:
        raise ENDPOINTS.absent(plane, name)
    return document


def _in_progress(document: Document) -> Fault:
    return invalid(f'Cannot update in-progress endpoint "{document["EndpointArn"]}".')


def _refuse_busy(document: Document) -> None:
    """Refuse to change an endpoint that something else is done to, or that never served."""
    if document[_STATUS] in _IN_PROGRESS:
        raise _in_progress(document)
    if document[_STATUS] != "InService":
        raise invalid(
            f'Cannot update endpoint "{document["EndpointArn"]}" with status '
            f"{document[_STATUS]}. Delete it and create it again."
        )


def _check_deployment(config: dict[str, Any] | None) -> None:
    """Refuse ways to shift traffic that are not here."""
    if not config:
        return
    routing = config.get("BlueGreenUpdatePolicy", {}).get("TrafficRoutingConfiguration", {})
    kind = routing.get("Type", "ALL_AT_ONCE")
    if config.get("RollingUpdatePolicy"):
        raise invalid("kneighbors local does not implement RollingUpdatePolicy.")
    if kind != "ALL_AT_ONCE":
        raise invalid(f"kneighbors local does not implement the traffic routing {kind}.")
    if config.get("AutoRollbackConfiguration", {}).get("Alarms"):
        raise invalid("kneighbors local does not implement AutoRollbackConfiguration.")


def _retained(
    wanted: DeploymentPlan, serving: DeploymentPlan, excluded: set[str]
) -> DeploymentPlan:
    """Return a plan with the weights and counts of the present variants of the same names."""
    present = {one.name: one for one in serving.variants}
    variants = []
    for one in wanted.variants:
        old = present.get(one.name)
        if old is not None and "DesiredWeight" not in excluded:
            one = replace(one, weight=old.weight)
        if old is not None and "DesiredInstanceCount" not in excluded and not one.serverless:
            one = replace(one, count=old.count)
        variants.append(one)
    return replace(wanted, variants=variants)


def _resized(variant: VariantPlan, asked: dict[str, Any]) -> VariantPlan:
    weight = asked.get("DesiredWeight", variant.weight)
    if variant.serverless is None:
        if asked.get("ServerlessUpdateConfig"):
            raise invalid(f"Variant {variant.name} is not serverless.")
        count = asked.get("DesiredInstanceCount")
        return replace(variant, weight=weight, count=variant.count if count is None else count)
    if asked.get("DesiredInstanceCount") is not None:
        raise invalid(f"Variant {variant.name} is serverless and has no instances.")
    serverless = {**variant.serverless, **asked.get("ServerlessUpdateConfig", {})}
    return replace(variant, weight=weight, serverless=serverless)


def _summaries(plane: Plane, name: str, document: Document) -> list[dict[str, Any]]:
    serving = DeploymentPlan.from_document(document["_serving"])
    fleet = plane.hosting.fleet(name)
    counts = {one.plan.name: one.count for one in fleet.variants} if fleet is not None else {}
    return [
        _summary(one, counts.get(one.name, 0), document["LastModifiedTime"])
        for one in serving.variants
    ]


def _summary(variant: VariantPlan, count: int, since: float) -> dict[str, Any]:
    images = [
        {
            "SpecifiedImage": one["Image"],
            "ResolvedImage": one["Image"],
            "ResolutionTime": since,
        }
        for one in variant.containers
    ]
    summary = {
        "VariantName": variant.name,
        "DeployedImages": images,
        "CurrentWeight": variant.weight,
        "DesiredWeight": variant.weight,
    }
    if variant.serverless is not None:
        return summary | {
            "CurrentServerlessConfig": variant.serverless,
            "DesiredServerlessConfig": variant.serverless,
        }
    return summary | {"CurrentInstanceCount": count, "DesiredInstanceCount": variant.count}
