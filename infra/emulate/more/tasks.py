"""The zone and the address of a task, its health, its true exit code and its protection; secrets and health checks of a
task definition that CloudFormation registers, and root filesystems that are only read.
"""

import json
import threading
import time

from docker.errors import DockerException
from ministack.core.responses import AccountRegionScopedDict, json_response
from ministack.services import ecs
from ministack.services.cloudformation import provisioners
from requests import RequestException

from more import instead_of, zone


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
