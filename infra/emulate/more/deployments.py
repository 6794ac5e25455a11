"""Service deployments as resources of their own, which end, go back and can be stopped; and what a service is told."""

import uuid

from ministack.core.concurrency import resource_lock
from ministack.core.responses import AccountRegionScopedDict, error_response_json, get_account_id, get_region, json_response
from ministack.services import ecs

from more import instead_of

# The deployments of a service, the newest first. Only the newest can change: what came before has a final status.
_history = AccountRegionScopedDict()
OPEN = ("IN_PROGRESS", "ROLLBACK_IN_PROGRESS")


def _arn(kind, key, name):
    return f"arn:aws:ecs:{get_region()}:{get_account_id()}:{kind}/{key}/{name}"


def _remember(key, before=None):
    """Notes the deployments of a service that are new; `before` is how far the newest of the others was."""
    service = ecs._services.get(key)
    if service is None:
        return
    with resource_lock("service-deployments", key):
        known = _history.setdefault(key, [])
        for deployment in reversed(service["deployments"]):
            if any(entry["deployment"]["id"] == deployment["id"] for entry in known):
                continue
            if known:
                is_complete = known[0]["deployment"]["rolloutState"] == "COMPLETED"
                known[0]["final"] = "SUCCESSFUL" if is_complete else "STOPPED" if before in OPEN else before
            known.insert(0, {
                "deployment": deployment,
                "definition": deployment["taskDefinition"],
                "name": uuid.uuid4().hex[:20],
                "source": next((entry["name"] for entry in known if entry["final"] == "SUCCESSFUL"), None),
                "loadBalancers": service["loadBalancers"],
                "networkConfiguration": service["networkConfiguration"],
                "alarms": (service["deploymentConfiguration"].get("alarms") or {}).get("alarmNames") or [],
                "count": deployment["desiredCount"],
                "threshold": ecs._circuit_breaker_threshold(service),
            })


def _status(service, entry):
    if "final" in entry:
        return entry["final"]
    deployment = entry["deployment"]
    primary = ecs._primary_deployment(service)
    if deployment["rolloutState"] == "COMPLETED":
        return "SUCCESSFUL"
    if deployment["rolloutState"] == "IN_PROGRESS":
        return "IN_PROGRESS"
    if primary is None or primary is deployment:
        return "STOPPED"
    return {"IN_PROGRESS": "ROLLBACK_IN_PROGRESS", "COMPLETED": "ROLLBACK_SUCCESSFUL"}.get(primary["rolloutState"], "ROLLBACK_FAILED")


def _entries(data):
    """The key, the service and the deployments that a request is about."""
    cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
    name, _ = ecs._resolve_service_ref(data.get("service", "")) or (None, None)
    key = f"{cluster}/{name}"
    return key, ecs._services.get(key), _history.get(key) or []


def _find(kind, arn):
    for key, entries in _history.items():
        for entry in entries:
            if arn == _arn(kind, key, entry["name"]):
                return key, entry
    return None, None


@instead_of(ecs, "CreateService")
def _create_service(original, data):
    answer = original(data)
    if answer[0] == 200:
        key, service, _ = _entries({**data, "service": data["serviceName"]})
        service["availabilityZoneRebalancing"] = data.get("availabilityZoneRebalancing", "ENABLED")
        _history.pop(key, None)
        _remember(key)
    return answer


@instead_of(ecs, "UpdateService")
def _update_service(original, data):
    key, service, entries = _entries(data)
    before = _status(service, entries[0]) if entries else None
    answer = original(data)
    for name in ("availabilityZoneRebalancing", "deploymentController"):
        if service is not None and name in data:
            service[name] = data[name]
    _remember(key, before)
    return answer


@instead_of(ecs, "ListServiceDeployments")
def _list_service_deployments(_, data):
    key, service, entries = _entries(data)
    if service is None:
        return error_response_json("ServiceNotFoundException", "Service not found.", 400)
    return json_response({"serviceDeployments": [{
        "serviceDeploymentArn": _arn("service-deployment", key, entry["name"]),
        "serviceArn": service["serviceArn"],
        "clusterArn": service["clusterArn"],
        "startedAt": entry["deployment"]["createdAt"],
        "createdAt": entry["deployment"]["createdAt"],
        "targetServiceRevisionArn": _arn("service-revision", key, entry["name"]),
        "status": _status(service, entry),
    } for entry in entries][:data.get("maxResults", 20)]})


@instead_of(ecs, "DescribeServiceDeployments")
def _describe_service_deployments(_, data):
    found, failures = [], []
    for arn in data.get("serviceDeploymentArns", []):
        key, entry = _find("service-deployment", arn)
        if entry is None:
            failures.append({"arn": arn, "reason": "MISSING"})
            continue
        found.append(_deployment(key, entry))
    return json_response({"serviceDeployments": found, "failures": failures})


def _deployment(key, entry):
    service = ecs._services[key]
    deployment = entry["deployment"]
    status = _status(service, entry)
    went_back = status.startswith("ROLLBACK")
    is_open = status in OPEN
    has_failed = deployment["rolloutState"] == "FAILED" and "stopped" not in entry
    breaker = "TRIGGERED" if has_failed else "MONITORING" if is_open else "MONITORING_COMPLETE"
    # What the newest has is what the service has; its predecessors have nothing left.
    counts = deployment if deployment in service["deployments"] else {}
    described = {
        "serviceDeploymentArn": _arn("service-deployment", key, entry["name"]),
        "serviceArn": service["serviceArn"],
        "clusterArn": service["clusterArn"],
        "createdAt": deployment["createdAt"],
        "startedAt": deployment["createdAt"],
        "updatedAt": deployment["updatedAt"],
        "sourceServiceRevisions": [{"arn": _arn("service-revision", key, entry["source"])}] if entry["source"] else [],
        "targetServiceRevision": {
            "arn": _arn("service-revision", key, entry["name"]),
            "requestedTaskCount": entry["count"],
            "runningTaskCount": counts.get("runningCount", 0),
            "pendingTaskCount": counts.get("pendingCount", 0),
        },
        "status": status,
        "deploymentConfiguration": service["deploymentConfiguration"],
        "deploymentCircuitBreaker": {
            "status": breaker,
            "failureCount": deployment["failedTasks"],
            "threshold": entry["threshold"],
        },
        "alarms": {"status": "MONITORING" if is_open else "MONITORING_COMPLETE", "alarmNames": entry["alarms"], "triggeredAlarmNames": []},
    }
    if went_back:
        reason = entry.get("stopped") or deployment["rolloutStateReason"]
        described["statusReason"] = reason
        described["rollback"] = {"reason": reason, "startedAt": deployment["updatedAt"], "serviceRevisionArn": _arn("service-revision", key, entry["source"])}
    if not is_open:
        described["finishedAt"] = ecs._ts_to_epoch(deployment["updatedAt"])
    return described


@instead_of(ecs, "DescribeServiceRevisions")
def _describe_service_revisions(_, data):
    found, failures = [], []
    for arn in data.get("serviceRevisionArns", []):
        key, entry = _find("service-revision", arn)
        if entry is None:
            failures.append({"arn": arn, "reason": "MISSING"})
            continue
        service = ecs._services[key]
        definition = ecs._task_defs[ecs._resolve_td_key(entry["definition"])]
        found.append({
            "serviceRevisionArn": arn,
            "serviceArn": service["serviceArn"],
            "clusterArn": service["clusterArn"],
            "taskDefinition": entry["definition"],
            "launchType": service["launchType"],
            "createdAt": entry["deployment"]["createdAt"],
            "loadBalancers": entry["loadBalancers"],
            "networkConfiguration": entry["networkConfiguration"],
            "containerImages": [{
                "containerName": container["name"],
                "image": container["image"],
                "imageDigest": container["image"].partition("@")[2],
            } for container in definition["containerDefinitions"]],
        })
    return json_response({"serviceRevisions": found, "failures": failures})


def _stop_service_deployment(data):
    """Sends a deployment back to what ran before; it cannot be stopped where it is, which ministack has no state for."""
    if data.get("stopType", "ROLLBACK") != "ROLLBACK":
        return error_response_json("InvalidParameterException", "stopType: only ROLLBACK can be emulated.", 400)
    arn = data.get("serviceDeploymentArn", "")
    key, entry = _find("service-deployment", arn)
    if entry is None:
        return error_response_json("ServiceDeploymentNotFoundException", "Service deployment not found.", 400)
    cluster = key.partition("/")[0]
    with resource_lock("ecs-service", key):
        service = ecs._services[key]
        deployment = entry["deployment"]
        back = next((one for one in service["deployments"] if one is not deployment and one["rolloutState"] == "COMPLETED"), None)
        if _status(service, entry) != "IN_PROGRESS" or back is None:
            return error_response_json("ConflictException", "The service deployment can't be stopped.", 400)
        entry["stopped"] = "Service deployment rolled back because of a StopServiceDeployment request."
        deployment.update(rolloutState="FAILED", rolloutStateReason=entry["stopped"], status="ACTIVE", desiredCount=0, updatedAt=ecs._iso())
        back.update(rolloutState="IN_PROGRESS", status="PRIMARY", desiredCount=service["desiredCount"], updatedAt=ecs._iso())
        service["taskDefinition"] = back["taskDefinition"]
    ecs._reconcile_service_tasks(cluster, key)
    ecs._schedule_service_deployment_completion(cluster, key, get_account_id(), get_region())
    return json_response({"serviceDeploymentArn": arn})


ecs._ACTION_MAP["StopServiceDeployment"] = _stop_service_deployment
