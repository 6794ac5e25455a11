"""ministack, and what its ECS, load balancer, certificates and tables leave out of the AWS that a release looks at.

Service deployments as resources of their own (which end, go back and can be stopped); the zone and the address of a
task, its health, its true exit code and its protection; secrets of a task definition that CloudFormation registers, and
root filesystems that are only read; the zones of a load balancer; when an imported certificate ends; how far back a
table can be restored; how far a service scales. Everything else is ministack's; its own state says what became of a
deployment.

Usage: `python more-of-ministack.py`, with the environment of `python -m ministack`.
"""

import json
import re
import threading
import time
import uuid

from cryptography import x509
from docker.errors import DockerException
from ministack import app as application
from ministack.core.concurrency import resource_lock
from ministack.core.responses import AccountRegionScopedDict, error_response_json, get_account_id, get_region, json_response
from ministack.services import acm, alb, dynamodb, ec2, ecs
from ministack.services.cloudformation import provisioners
from requests import RequestException


def instead_of(module, action=None):
    """Puts a function in the place of the one of its name, which it gets as its first parameter."""

    def put(function):
        original = getattr(module, function.__name__)

        def replacement(*parameters, **options):
            return function(original, *parameters, **options)

        setattr(module, function.__name__, replacement)
        if action is not None:
            module._ACTION_MAP[action] = replacement
        return replacement

    return put


def zone(subnet):
    return (ec2._subnets.get(subnet) or {}).get("AvailabilityZone", f"{get_region()}a")


# Service deployments.

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
        key, _, _ = _entries({**data, "service": data["serviceName"]})
        _history.pop(key, None)
        _remember(key)
    return answer


@instead_of(ecs, "UpdateService")
def _update_service(original, data):
    key, service, entries = _entries(data)
    before = _status(service, entries[0]) if entries else None
    answer = original(data)
    if service is not None and "availabilityZoneRebalancing" in data:
        service["availabilityZoneRebalancing"] = data["availabilityZoneRebalancing"]
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


# Tasks.


@instead_of(ecs, "RunTask")
def _run_task(original, data):
    """Starts each task in the subnet that has the fewest of its group."""
    network = (data.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}
    subnets = network.get("subnets") or []
    answers = []
    for _ in range(data.get("count", 1)):
        group = [task for task in list(ecs._tasks.values()) if task["group"] == data.get("group") and task["desiredStatus"] == "RUNNING"]
        # Those of the deployment count first: the others are on their way out.
        mine = [task for task in group if task["_deployment_id"] == data.get("_deploymentId")]
        subnet = min(subnets, key=lambda one: [sum(task["_subnet"] == one for task in tasks) for tasks in (mine, group)], default=None)
        placed = {**network, "subnets": [subnet]} if subnet else network
        answer = original({**data, "count": 1, "networkConfiguration": {"awsvpcConfiguration": placed}})
        if answer[0] != 200:
            return answer
        answers.append(json.loads(answer[2]))
        for started in answers[-1]["tasks"]:
            started["availabilityZone"] = zone(subnet)
            ecs._tasks[started["taskArn"]]["availabilityZone"] = started["availabilityZone"]
    return json_response({name: [one for answer in answers for one in answer[name]] for name in ("tasks", "failures")})


@instead_of(ecs)
def _record_task_ip(original, task, container, network):
    original(task, container, network)
    address = ecs._task_ip(task)
    for one in task["containers"]:
        if address:
            one["networkInterfaces"] = [{"attachmentId": task["taskArn"], "privateIpv4Address": address}]


@instead_of(ecs, "StopTask")
def _stop_task(original, data):
    """ministack says 0 as soon as it asks a container to stop; here it says what the container says, when it has ended."""
    task = ecs._resolve_task(data.get("task", ""), ecs._resolve_cluster_name(data.get("cluster", "default")))
    docker = ecs._get_docker()
    is_running = task is not None and task["lastStatus"] == "RUNNING"
    containers = list(zip(task["containers"], task["_docker_ids"])) if docker and is_running else []
    answer = original(data)
    for container, name in containers:
        container.pop("exitCode", None)
        threading.Thread(target=_keep_exit_code, args=(docker, name, container), daemon=True).start()
    return answer


def _keep_exit_code(docker, name, container):
    try:
        container["exitCode"] = docker.api.wait(name, timeout=600)["StatusCode"]
    except (DockerException, RequestException) as error:
        print(f"how {name} ended is not known: {error}", flush=True)


# Until when a task is protected, in seconds since 1970.
_protected = AccountRegionScopedDict()


@instead_of(ecs, "UpdateTaskProtection")
def _update_task_protection(_, data):
    for task, _ in _tasks(data):
        if task is None:
            continue
        if data["protectionEnabled"]:
            _protected[task["taskArn"]] = time.time() + 60 * data.get("expiresInMinutes", 120)
        else:
            _protected.pop(task["taskArn"], None)
    return _get_task_protection(data)


@instead_of(ecs, "GetTaskProtection")
def _get_task_protection(_, data):
    now = time.time()
    said, failures = [], []
    for task, name in _tasks(data):
        if task is None:
            failures.append({"arn": name, "reason": "MISSING"})
            continue
        until = _protected.get(task["taskArn"], 0)
        is_protected = until > now
        said.append({"taskArn": task["taskArn"], "protectionEnabled": is_protected, **({"expirationDate": until} if is_protected else {})})
    return json_response({"protectedTasks": said, "failures": failures})


def _tasks(data):
    cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
    return [(ecs._resolve_task(name, cluster), name) for name in data.get("tasks", [])]


@instead_of(provisioners)
def _normalize_container_defs(original, definitions):
    normalized = original(definitions)
    for definition in normalized:
        for name in ("secrets", "healthCheck"):
            if name in definition:
                definition[name] = provisioners._pascal_to_camel(definition[name])
    return normalized


@instead_of(ecs)
def _build_run_kwargs(original, definition, *parameters):
    options = original(definition, *parameters)
    options["read_only"] = bool(definition.get("readonlyRootFilesystem"))
    check = definition.get("healthCheck")
    if check:
        durations = {name: check[name] * 10**9 for name in ("interval", "timeout") if name in check}
        options["healthcheck"] = {**durations, "test": check["command"], "retries": check.get("retries", 3), "start_period": check.get("startPeriod", 0) * 10**9}
    return options


@instead_of(ecs, "DescribeTasks")
def _describe_tasks(original, data):
    """Says of a task that it is as healthy as its container."""
    docker = ecs._get_docker()
    for name in data.get("tasks", []):
        task = ecs._resolve_task(name, ecs._resolve_cluster_name(data.get("cluster", "default")))
        if docker is None or task is None or task["lastStatus"] != "RUNNING":
            continue
        for container, docker_id in zip(task["containers"], task["_docker_ids"]):
            try:
                health = docker.api.inspect_container(docker_id)["State"].get("Health") or {}
            except (DockerException, RequestException):
                continue
            task["healthStatus"] = container["healthStatus"] = {"healthy": "HEALTHY", "unhealthy": "UNHEALTHY"}.get(health.get("Status"), "UNKNOWN")
    return original(data)


# Load balancers, certificates, tables.


@instead_of(alb)
def _lb_xml(original, balancer):
    named = r"<ZoneName>[^<]*</ZoneName><SubnetId>([^<]*)</SubnetId>"
    return re.sub(named, lambda found: f"<ZoneName>{zone(found[1])}</ZoneName><SubnetId>{found[1]}</SubnetId>", original(balancer))


@instead_of(acm)
def _import_certificate(original, data):
    answer = original(data)
    if answer[0] == 200:
        imported = acm._certificates[json.loads(answer[2])["CertificateArn"]]
        certificate = x509.load_pem_x509_certificate(imported["_pem_body"].encode())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        imported["SubjectAlternativeNames"] = names.get_values_for_type(x509.DNSName)
        imported["DomainName"] = imported["SubjectAlternativeNames"][0]
        imported["NotAfter"] = certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
    return answer


# How many days back a table can be restored.
_recovery_days = AccountRegionScopedDict()


@instead_of(dynamodb)
def _update_continuous_backups(original, data):
    answer = original(data)
    if answer[0] != 200:
        return answer
    _recovery_days[dynamodb._normalize_table_name(data["TableName"])] = data["PointInTimeRecoverySpecification"].get("RecoveryPeriodInDays", 35)
    return dynamodb._describe_continuous_backups(data)


@instead_of(dynamodb)
def _describe_continuous_backups(original, data):
    status, headers, body = original(data)
    if status == 200:
        answer = json.loads(body)
        recovery = answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
        if recovery["PointInTimeRecoveryStatus"] == "ENABLED":
            recovery["RecoveryPeriodInDays"] = _recovery_days.get(dynamodb._normalize_table_name(data["TableName"]), 35)
        return json_response(answer)
    return status, headers, body


# Application Auto Scaling, which ministack does not have: limits that are kept, and that nobody acts upon.

_targets = AccountRegionScopedDict()


def _register_scalable_target(data):
    key = (data["ServiceNamespace"], data["ResourceId"], data["ScalableDimension"])
    _targets.setdefault(key, {"CreationTime": time.time(), "SuspendedState": {}}).update(data)
    return {}


def _describe_scalable_targets(data):
    wanted = data.get("ResourceIds")
    found = [target for (namespace, resource, _), target in _targets.items() if namespace == data["ServiceNamespace"] and (not wanted or resource in wanted)]
    return {"ScalableTargets": found}


SCALING = {
    b"AnyScaleFrontendService.RegisterScalableTarget": _register_scalable_target,
    b"AnyScaleFrontendService.DescribeScalableTargets": _describe_scalable_targets,
}


def with_scaling(others):
    async def app(scope, receive, send):
        action = SCALING.get(dict(scope.get("headers") or ()).get(b"x-amz-target"))
        if action is None:
            await others(scope, receive, send)
            return
        body, is_more = b"", True
        while is_more:
            message = await receive()
            body += message.get("body", b"")
            is_more = message.get("more_body", False)
        status, headers, answer = json_response(action(json.loads(body)))
        await send({"type": "http.response.start", "status": status, "headers": [(name.encode(), value.encode()) for name, value in headers.items()]})
        await send({"type": "http.response.body", "body": answer})

    return app


if __name__ == "__main__":
    application.app = with_scaling(application.app)
    application.main()
