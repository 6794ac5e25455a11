"""The zones of a load balancer; the version of HTTP that a target group speaks; when an imported certificate ends; how
far back a table can be restored.
"""

import functools
import json
import re

from cryptography import x509
from ministack.core.responses import AccountRegionScopedDict, json_response
from ministack.services import acm, alb, dynamodb
from ministack.services.cloudformation import provisioners

from more import instead_of, zone


@instead_of(alb)
def _lb_xml(original, balancer):
    named = r"<ZoneName>[^<]*</ZoneName><SubnetId>([^<]*)</SubnetId>"
    return re.sub(named, lambda found: f"<ZoneName>{zone(found[1])}</ZoneName><SubnetId>{found[1]}</SubnetId>", original(balancer))


@instead_of(alb, "CreateTargetGroup")
def _create_tg(original, params):
    answer = original(params)
    if answer[0] == 200:
        group = next(reversed(alb._tgs.values()))
        group["ProtocolVersion"] = alb._p(params, "ProtocolVersion", "HTTP1")
    return answer


@instead_of(alb, "ModifyTargetGroup")
def _modify_tg(original, params):
    """Takes another version of HTTP, too, for those who see what notices it: AWS makes another target group."""
    group = alb._tgs.get(alb._p(params, "TargetGroupArn"))
    if group is not None:
        group["ProtocolVersion"] = alb._p(params, "ProtocolVersion", group["ProtocolVersion"])
    return original(params)


def _create_target_group_of_a_stack(original, logical_id, properties, stack):
    arn, attributes = original(logical_id, properties, stack)
    alb._tgs[arn]["ProtocolVersion"] = properties.get("ProtocolVersion", "HTTP1")
    return arn, attributes


_of_a_stack = provisioners._RESOURCE_HANDLERS["AWS::ElasticLoadBalancingV2::TargetGroup"]
_of_a_stack["create"] = functools.partial(_create_target_group_of_a_stack, _of_a_stack["create"])


@instead_of(alb)
def _tg_xml(original, group):
    version = f"<ProtocolVersion>{group['ProtocolVersion']}</ProtocolVersion>"
    return original(group).replace("<Port>", f"{version}<Port>", 1)


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
