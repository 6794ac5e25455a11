"""Application Auto Scaling, which ministack does not have: limits that are kept, and that nobody acts upon."""

import json
import time

from ministack.core.responses import AccountRegionScopedDict, json_response

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


def beside(others):
    """The application `others`, and this."""

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
