//! One change of one fact, and the one assertion that must notice it, with what it says and what it advises.

use std::collections::BTreeSet;

use super::{account, healthy, ids, report, said};
use crate::verify::rows::GROUPS;

/// Id, fact, where in it, the new value as JSON, part of the actual value that is named, part of the fix.
type Mutation = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

const SESSIONS: &str = "table/mcp-gateway-staging-sessions";
const CONTAINER: &str = "/taskDefinition/containerDefinitions/0";
const OTHER: &str = "\"sha256:2222222222222222222222222222222222222222222222222222222222222222\"";

#[rustfmt::skip]
const MUTATIONS: &[Mutation] = &[
    ("A1", "identity", "/Account", "\"999999999999\"", "999999999999", "--profile"),
    ("A2", "stack/data", "/Stacks/0/StackStatus", "\"UPDATE_ROLLBACK_FAILED\"", "data UPDATE_ROLLBACK_FAILED", "cloudformation continue-update-rollback --stack-name mcp-gateway-staging-data"),
    ("A2", "stack/service", "/Stacks/0/StackStatus", "\"UPDATE_IN_PROGRESS\"", "service UPDATE_IN_PROGRESS", "cloudformation wait stack-update-complete"),
    ("A3", "stack/data", "/Stacks/0/EnableTerminationProtection", "false", "data false", "update-termination-protection --enable-termination-protection --stack-name mcp-gateway-staging-data"),
    ("A4", "task definition", "CONTAINER/image", "\"repository@sha256:2222222222222222222222222222222222222222222222222222222222222222\"", "sha256:1111", "ssm put-parameter --overwrite --type String --name /mcp-gateway/staging/image-digest --value sha256:2222"),
    ("A5", "drift/service", "/StackResourceDrifts/0/StackResourceDriftStatus", "\"MODIFIED\"", "mcp-gateway-staging-service/LoadBalancer", "npx cdk deploy"),
    ("A5", "drift/service", "/StackResourceDrifts/1/StackResourceDriftStatus", "\"DELETED\"", "mcp-gateway-staging-service/Service deleted", "npx cdk deploy"),
    ("A5", "drift/service", "/StackResourceDrifts/1/PropertyDifferences/0/PropertyPath", "\"/LoadBalancers\"", "mcp-gateway-staging-service/Service /LoadBalancers", "npx cdk deploy"),
    ("A6", "template/data", "/TemplateBody/Resources", "{}", "data differs", "cargo xtask deploy --env staging --infra-only"),
    ("A6", "template/service", "", "null", "service absent", "cargo xtask diff --env staging"),
    ("B1", "service", "/services/0/status", "\"DRAINING\"", "DRAINING", "ecs wait services-inactive --cluster mcp-gateway-staging"),
    ("B1", "service", "/services/0/status", "\"INACTIVE\"", "INACTIVE", "ecs create-service --cluster mcp-gateway-staging --desired-count 1 --cli-input-json \"$(aws ecs describe-services"),
    ("B2", "service", "/services/0/deployments/0/rolloutState", "\"FAILED\"", "FAILED", "ecs describe-services"),
    ("B2", "service", "/services/0/deployments/0/failedTasks", "2", "2 failed tasks", "ecs describe-services"),
    ("B3", "ledger", "/Parameters/2/Value", "\"{\\\"release\\\":7,\\\"status\\\":\\\"verified\\\",\\\"hold\\\":false,\\\"sha\\\":\\\"0123456789abcdef0123456789abcdef01234567\\\",\\\"version\\\":\\\"0.1.0\\\",\\\"digest\\\":\\\"sha256:1111111111111111111111111111111111111111111111111111111111111111\\\",\\\"image\\\":\\\"123456789012.dkr.ecr.us-east-1.amazonaws.com/mcp-gateway-staging@sha256:1111111111111111111111111111111111111111111111111111111111111111\\\",\\\"fingerprint\\\":\\\"0000000000000007\\\",\\\"revision\\\":\\\"arn:aws:ecs:us-east-1:123456789012:task-definition/mcp-gateway-staging:6\\\",\\\"deployment\\\":\\\"arn:aws:ecs:us-east-1:123456789012:service-deployment/mcp-gateway-staging/mcp-gateway-staging/d7\\\",\\\"copy_of\\\":null,\\\"undoes\\\":null,\\\"reason\\\":\\\"\\\",\\\"who\\\":\\\"ana@desk\\\",\\\"run\\\":null,\\\"at\\\":\\\"2026-11-23T10:00:00Z\\\",\\\"ended\\\":\\\"2026-11-23T10:10:00Z\\\"}\"", "arn:aws:ecs:us-east-1:123456789012:task-definition/mcp-gateway-staging:7, which is no release", "ecs update-service --cluster mcp-gateway-staging --service mcp-gateway-staging --task-definition arn:aws:ecs:us-east-1:123456789012:task-definition/mcp-gateway-staging:6"),
    ("B4", "service", "/services/0/pendingCount", "1", "1 pending", "ecs describe-services"),
    ("B5", "service", "/services/0/deploymentConfiguration/minimumHealthyPercent", "50", "50-200 %", "minimumHealthyPercent=100,maximumPercent=200"),
    ("B6", "service", "/services/0/deploymentConfiguration/deploymentCircuitBreaker/rollback", "false", "rollback false", "deploymentCircuitBreaker={enable=true,rollback=true,resetOnHealthyTask=false,thresholdConfiguration={type=COUNT,value=3}}"),
    ("B7", "service", "/services/0/deploymentConfiguration/alarms/enable", "false", "enable false", "alarmNames=[mcp-gateway-staging-bad-gateway,"),
    ("B8", "service", "/services/0/deploymentConfiguration/strategy", "\"BLUE_GREEN\"", "BLUE_GREEN", "strategy=ROLLING"),
    ("B9", "service", "/services/0/healthCheckGracePeriodSeconds", "0", "0", "--health-check-grace-period-seconds 60"),
    ("B10", "service", "/services/0/availabilityZoneRebalancing", "\"ENABLED\"", "ENABLED", "--availability-zone-rebalancing DISABLED"),
    ("B11", "service", "/services/0/enableExecuteCommand", "true", "true", "--disable-execute-command"),
    ("B12", "service", "/services/0/networkConfiguration/awsvpcConfiguration/assignPublicIp", "\"DISABLED\"", "public address DISABLED", "assignPublicIp=ENABLED"),
    ("B13", "service", "/services/0/loadBalancers/0/containerPort", "8080", "gateway:8080", "containerPort=3000"),
    ("B14", "service", "/services/0/deploymentController/type", "\"CODE_DEPLOY\"", "CODE_DEPLOY", "ecs update-service --cluster mcp-gateway-staging --service mcp-gateway-staging --deployment-controller type=ECS"),
    ("C1", "deployments", "/serviceDeployments/0/status", "\"ROLLBACK_SUCCESSFUL\"", "ROLLBACK_SUCCESSFUL", "events"),
    ("C2", "deployment", "/serviceDeployments/0/deploymentCircuitBreaker/status", "\"TRIGGERED\"", "breaker TRIGGERED", "events"),
    ("C3", "service revision", "/serviceRevisions/0/containerImages/0/imageDigest", OTHER, "sha256:2222", "events"),
    ("C4", "deployments", "/serviceDeployments/0/status", "\"IN_PROGRESS\"", "service-deployment", "describe-service-deployments --service-deployment-arns arn:"),
    ("D1", "tasks", "/tasks/1/taskDefinitionArn", "\"old:6\"", "old:6", "--force-new-deployment"),
    ("D2", "tasks", "/tasks/1/containers/0/imageDigest", OTHER, "sha256:2222", "--force-new-deployment"),
    ("D3", "tasks", "/tasks/1/healthStatus", "\"UNHEALTHY\"", "22222222222222222222222222222222 RUNNING UNHEALTHY", "events"),
    ("D4", "tasks", "/tasks/1/availabilityZone", "\"us-east-1a\"", "us-east-1a", "--force-new-deployment"),
    ("D5", "stopped tasks", "/tasks/0/stopCode", "\"EssentialContainerExited\"", "EssentialContainerExited", "logs tail /mcp-gateway/staging"),
    ("D6", "stopped tasks", "/tasks/0/containers/0/exitCode", "137", "overran the stop timeout", "logs tail /mcp-gateway/staging"),
    ("D7", "protection", "/protectedTasks/1", "{\"taskArn\":\"arn:aws:ecs:us-east-1:123456789012:task/mcp-gateway-staging/22222222222222222222222222222222\",\"protectionEnabled\":true,\"expirationDate\":\"2026-11-26T12:00:00+00:00\"}", "22222222222222222222222222222222 until 2026-11-26T12:00:00+00:00", "ecs update-task-protection --cluster mcp-gateway-staging --no-protection-enabled --tasks 22222222222222222222222222222222"),
    ("E1", "revisions", "/taskDefinitionArns", "[\"mcp-gateway-staging:8\", \"arn:aws:ecs:us-east-1:123456789012:task-definition/mcp-gateway-staging:7\", \"arn:aws:ecs:us-east-1:123456789012:task-definition/mcp-gateway-staging:6\", \"arn:aws:ecs:us-east-1:123456789012:task-definition/mcp-gateway-staging:5\"]", "mcp-gateway-staging:8", "ecs deregister-task-definition --task-definition mcp-gateway-staging:8"),
    ("E2", "task definition", "/taskDefinition/containerDefinitions/1/image", "\"repository:latest\"", "repository:latest", "register-task-definition"),
    ("E3", "task definition", "CONTAINER/stopTimeout", "30", "30", "ecs register-task-definition --cli-input-json file://shape.json"),
    ("E4", "task definition", "CONTAINER/readonlyRootFilesystem", "false", "read-only root false", "register-task-definition"),
    ("E4", "task definition", "CONTAINER/user", "\"0\"", "user 0", "register-task-definition"),
    ("E5", "task definition", "CONTAINER/logConfiguration/options/mode", "\"blocking\"", "blocking", "register-task-definition"),
    ("E6", "task definition", "CONTAINER/secrets/0/valueFrom", "\"arn:other\"", "GOOGLE_CLIENT_SECRET from arn:other", "register-task-definition"),
    ("E7", "task definition", "/taskDefinition/runtimePlatform/cpuArchitecture", "\"ARM64\"", "ARM64", "register-task-definition"),
    ("E8", "task definition", "/taskDefinition/taskRoleArn", "\"arn:aws:iam::123456789012:role/admin\"", "task admin", "register-task-definition"),
    ("E9", "task definition", "/tags/0/value", "\"6\"", "release 6, digest sha256:1111", "ecs tag-resource --resource-arn arn:aws:ecs:us-east-1:123456789012:task-definition/mcp-gateway-staging:7 --tags key=release,value=7 key=digest,value=sha256:1111"),
    ("E9", "task definition", "/tags/2/key", "\"commit\"", "sha nothing", "key=sha,value=0123456789abcdef0123456789abcdef01234567"),
    ("E10", "revisions", "/taskDefinitionArns/2", "\"arn:aws:ecs:us-east-1:123456789012:task-definition/mcp-gateway-staging:4\"", "not ACTIVE: release 5 (5555555555), arn:aws:ecs:us-east-1:123456789012:task-definition/mcp-gateway-staging:5", "cargo xtask rollback --env staging --list"),
    ("E11", "task definition", "/taskDefinition/cpu", "\"256\"", "256 units", "register-task-definition"),
    ("E12", "task definition", "CONTAINER/healthCheck/timeout", "1", "timeout 1 s", "register-task-definition"),
    ("E13", "task definition", "CONTAINER/command/0", "\"sh\"", "/gateway sh", "register-task-definition"),
    ("E14", "task definition", "CONTAINER/ulimits/0/softLimit", "1024", "1024", "register-task-definition"),
    ("E15", "task definition", "CONTAINER/environment/0/value", "\"http://wrong\"", "http://wrong", "register-task-definition"),
    ("E15", "task definition", "CONTAINER/environment/0/name", "\"DEBUG\"", "DEBUG too", "@sha256:1111"),
    ("F1", "image", "/imageDetails/0/imageStatus", "\"ARCHIVED\"", "ARCHIVED", "ecr update-image-storage-class"),
    ("F1", "image", "/imageDetails", "[]", "ACTIVE", "build the released commit again"),
    ("F2", "images", "/imageDetails/0/imageStatus", "\"ARCHIVED\"", "not ACTIVE: 6 (6666666666)", "ecr update-image-storage-class --repository-name mcp-gateway-staging --image-id imageDigest=sha256:6666"),
    ("F2", "images", "/imageDetails", "[]", "gone: 6 (6666666666), 5 (5555555555)", "aws ssm delete-parameters --names /mcp-gateway/staging/releases/000006 /mcp-gateway/staging/releases/000005"),
    ("F2", "images", "", "null", "gone: at least one of 6 (6666666666), 5 (5555555555)", "cargo xtask rollback --env staging --list"),
    ("F3", "repository", "/repositories/0/imageTagMutability", "\"MUTABLE\"", "MUTABLE", "--image-tag-mutability IMMUTABLE"),
    ("F4", "repository", "/repositories/0/imageScanningConfiguration/scanOnPush", "false", "false", "scanOnPush=true"),
    ("F5", "scan", "", "null", "not scanned", "ecr start-image-scan --repository-name mcp-gateway-staging --image-id imageDigest=sha256:1111"),
    ("F5", "scan", "/imageScanStatus/status", "\"IN_PROGRESS\"", "scan IN_PROGRESS", "ecr wait image-scan-complete"),
    ("F5", "scan", "/imageScanStatus", "{\"status\":\"FAILED\",\"description\":\"InternalError\"}", "scan FAILED: InternalError", "ecr start-image-scan"),
    ("F5", "scan", "/imageScanFindings/findingSeverityCounts/CRITICAL", "1", "1 critical, scan COMPLETE", "raise what has it"),
    ("F5", "scan", "/imageScanFindings", "{\"findingSeverityCounts\":{\"CRITICAL\":2},\"findings\":[{\"name\":\"CVE-2024-3094\",\"severity\":\"CRITICAL\"}],\"enhancedFindings\":[{\"title\":\"CVE-2021-44228 - log4j\",\"severity\":\"CRITICAL\",\"packageVulnerabilityDetails\":{\"vulnerabilityId\":\"CVE-2021-44228\"}},{\"severity\":\"LOW\"}]}", "2 critical (CVE-2024-3094, CVE-2021-44228)", "raise what has it"),
    ("F6", "lifecycle", "/lifecyclePolicyText", "\"{\\\"rules\\\":[{\\\"selection\\\":{\\\"tagStatus\\\":\\\"any\\\",\\\"countNumber\\\":1}}]}\"", "any after 1 days", "ecr put-lifecycle-policy"),
    ("F7", "referrers", "/referrers", "[]", "no provenance, no SBOM among 0 referrers", "gh workflow run deploy.yml"),
    ("F7", "referrers", "/referrers/0/artifactType", "\"application/vnd.oci.empty.v1+json\"", "no provenance among 2 referrers", "gh workflow run deploy.yml"),
    ("F7", "referrers", "/referrers/1/annotations/dev.sigstore.bundle.predicateType", "\"https://spdx.dev/Document\"", "no SBOM among 2 referrers", "gh workflow run deploy.yml"),
    ("G1", "secret/mcp-gateway-staging/google-oauth", "/VersionIdsToStages", "{}", "google-oauth has no value", "secretsmanager put-secret-value --secret-id mcp-gateway-staging/google-oauth"),
    ("G2", "execution role may", "/EvaluationResults/0/EvalDecision", "\"explicitDeny\"", "GetSecretValue explicitDeny", "iam list-role-policies --role-name mcp-gateway-staging-execution"),
    ("G2", "execution role may", "/EvaluationResults/0", "{\"EvalActionName\":\"secretsmanager:GetSecretValue\",\"EvalDecision\":\"allowed\",\"ResourceSpecificResults\":[{\"EvalResourceName\":\"arn:one\",\"EvalResourceDecision\":\"allowed\"},{\"EvalResourceName\":\"arn:two\",\"EvalResourceDecision\":\"implicitDeny\"}]}", "GetSecretValue implicitDeny", "list-role-policies"),
    ("G3", "secret/mcp-gateway-staging/session-secret", "/LastChangedDate", "1795600100.0", "session-secret was changed since", "--force-new-deployment"),
    ("G4", "deploy role", "/Role/AssumeRolePolicyDocument/Statement/0/Condition", "{}", "nothing binds `aud`", "npx cdk deploy mcp-gateway-staging-pipeline"),
    ("G4", "deploy role", "/Role/AssumeRolePolicyDocument/Statement/0/Condition/StringEquals/token.actions.githubusercontent.com:sub", "\"*\"", "a claim may be anything", "npx cdk deploy"),
    ("G5", "task role may", "/EvaluationResults/1/EvalDecision", "\"allowed\"", "iam:PassRole allowed", "--role-name mcp-gateway-staging-task"),
    ("H1", "load balancer", "/LoadBalancers/0/Scheme", "\"internal\"", "internal", "describe-load-balancers"),
    ("H2", "load balancer attributes", "/Attributes/0/Value", "\"60\"", "60", "Key=idle_timeout.timeout_seconds,Value=300"),
    ("H3", "load balancer attributes", "/Attributes/1/Value", "\"3600\"", "3600", "Key=client_keep_alive.seconds,Value=604800"),
    ("H4", "load balancer attributes", "/Attributes/2/Value", "\"false\"", "false", "Key=routing.http2.enabled,Value=true"),
    ("H5", "load balancer attributes", "/Attributes/3/Value", "\"false\"", "false", "drop_invalid_header_fields.enabled,Value=true"),
    ("H6", "load balancer attributes", "/Attributes/4/Value", "\"monitor\"", "monitor", "desync_mitigation_mode,Value=strictest"),
    ("H7", "load balancer attributes", "/Attributes/5/Value", "\"false\"", "false", "deletion_protection.enabled,Value=true"),
    ("H8", "load balancer attributes", "/Attributes/6/Value", "\"false\"", "false", "access_logs.s3.enabled,Value=true"),
    ("H9", "firewall", "", "{\"WebACL\":{\"Name\":\"by-hand\"}}", "by-hand", "wafv2 disassociate-web-acl"),
    ("I1", "listeners", "/Listeners/0/SslPolicy", "\"ELBSecurityPolicy-2016-08\"", "2016-08", "modify-listener"),
    ("I2", "listeners", "/Listeners/0/Certificates/0/CertificateArn", "\"arn:other\"", "arn:other", "--certificates CertificateArn=arn:aws:acm"),
    ("I3", "certificate", "/Certificate/NotAfter", "\"2026-12-01T00:00:00+00:00\"", "ISSUED for mcp.staging.example.com, 5 days", "acm describe-certificate"),
    ("I3", "certificate", "/Certificate/Status", "\"EXPIRED\"", "EXPIRED", "acm describe-certificate"),
    ("I4", "listeners", "/Listeners/1/DefaultActions/0/RedirectConfig/StatusCode", "\"HTTP_302\"", "HTTP_302", "StatusCode=HTTP_301"),
    ("I4", "listeners", "/Listeners/1/Port", "8080", "nobody listens on 80", "elbv2 create-listener"),
    ("I5", "rules", "/Rules/0/Conditions/0/HostHeaderConfig/Values/0", "\"*.example.com\"", "*.example.com", "elbv2 modify-rule"),
    ("I5", "rules", "/Rules", "[]", "nothing", "elbv2 create-rule"),
    ("I6", "listeners", "/Listeners/0/DefaultActions/0/FixedResponseConfig/StatusCode", "\"404\"", "404", "StatusCode=503"),
    ("J1", "target group", "/TargetGroups/0/ProtocolVersion", "\"HTTP2\"", "HTTP2", "npx cdk deploy"),
    ("J2", "target group", "/TargetGroups/0/HealthCheckTimeoutSeconds", "2", "timeout 2 s", "--health-check-timeout-seconds 10"),
    ("J3", "target group attributes", "/Attributes/0/Value", "\"false\"", "false lb_cookie 3600", "Key=stickiness.enabled,Value=true"),
    ("J4", "target group attributes", "/Attributes/3/Value", "\"0\"", "0", "Key=deregistration_delay.timeout_seconds,Value=300"),
    ("J5", "target group attributes", "/Attributes/5/Value", "\"least_outstanding_requests\"", "least_outstanding_requests", "load_balancing.algorithm.type,Value=round_robin"),
    ("J6", "target health", "/TargetHealthDescriptions/1/TargetHealth/State", "\"unhealthy\"", "10.0.0.2 unhealthy", "describe-target-health"),
    ("J7", "target health", "/TargetHealthDescriptions/1/Target/Id", "\"10.0.0.9\"", "10.0.0.9", "--force-new-deployment"),
    ("K1", "load balancer security group", "/SecurityGroups/0/IpPermissions/0/IpRanges", "[]", "80 from 0.0.0.0/0", "authorize-security-group-ingress --group-id sg-0000000000000000a --protocol tcp --port 443 --cidr 0.0.0.0/0"),
    ("K1", "load balancer security group", "/SecurityGroups/0/IpPermissions/0", "{\"IpProtocol\":\"tcp\",\"FromPort\":443,\"ToPort\":443,\"IpRanges\":[{\"CidrIp\":\"0.0.0.0/0\"}],\"Ipv6Ranges\":[{\"CidrIpv6\":\"::/0\"}]}", "443 from ::/0", "revoke-security-group-ingress --group-id sg-0000000000000000a --ip-permissions 'IpProtocol=tcp,FromPort=443,ToPort=443,Ipv6Ranges=[{CidrIpv6=::/0}]'"),
    ("K1", "load balancer security group", "/SecurityGroups/0/IpPermissions/0", "{\"IpProtocol\":\"icmpv6\",\"FromPort\":-1,\"ToPort\":-1,\"Ipv6Ranges\":[{\"CidrIpv6\":\"::/0\"}]}", "icmpv6 -1 from ::/0", "IpProtocol=icmpv6,FromPort=-1,ToPort=-1,Ipv6Ranges=[{CidrIpv6=::/0}]"),
    ("K2", "task security group", "/SecurityGroups/0/IpPermissions/0/IpRanges", "[{\"CidrIp\":\"0.0.0.0/0\"}]", "3000 from 0.0.0.0/0", "revoke-security-group-ingress --group-id sg-0000000000000000b --protocol tcp --port 3000 --cidr 0.0.0.0/0"),
    ("K3", "scaling", "/ScalableTargets/0/SuspendedState/DynamicScalingInSuspended", "true", "DynamicScalingInSuspended", "register-scalable-target"),
    ("K4", "alarms", "/MetricAlarms/0/ActionsEnabled", "false", "without mcp-gateway-staging-cpu", "enable-alarm-actions --alarm-names mcp-gateway-staging-cpu"),
    ("K5", "alarms", "/MetricAlarms/1/StateValue", "\"ALARM\"", "mcp-gateway-staging-memory", "--alarm-name mcp-gateway-staging-memory"),
    ("K6", "log group", "/logGroups/1/retentionInDays", "1", "1", "--retention-in-days 7"),
    ("L1", "live/address", "/host/1", "\"198.51.100.9\"", "198.51.100.9", "point the record"),
    ("L2", "live/tls", "/trusted", "\"ERR_TLS_CERT_ALTNAME_INVALID\"", "ERR_TLS_CERT_ALTNAME_INVALID", "describe-listeners"),
    ("L3", "live/redirect", "/status", "200", "200 to", "see I4"),
    ("L4", "live/headers", "/headers", "{\"server\":\"cloudflare\"}", "server: cloudflare", "DNS only"),
    ("L5", "live/headers", "/status", "503", "503", "events"),
    ("L6", "live/challenge", "/status", "403", "status 403", "PUBLIC_URL"),
    ("L6", "live/metadata", "/server/issuer", "\"http://10.0.0.1:3000\"", "issuer http://10.0.0.1:3000", "PUBLIC_URL"),
    ("L7", "live/origin", "/status", "401", "401", "ALLOWED_ORIGINS"),
    ("L8", "live/preflight", "/allowed", "\"*\"", "*, exposes", "PUBLIC_URL"),
    ("L9", "live/modern tools", "/names/0", "\"other\"", "without calendar_get_event", "--force-new-deployment"),
    ("L10", "live/discover", "/versions", "[\"2025-11-25\"]", "2025-11-25", "--force-new-deployment"),
    ("L11", "live/legacy tools", "/failures", "[\"status 404: no such session\"]", "1 of 20 failed: status 404", "--force-new-deployment"),
    ("L12", "live/tls", "/old", "\"accepts TLSv1\"", "accepts TLSv1", "describe-ssl-policies"),
    ("L13", "live/session ids", "/foreign", "200", "foreign 200", "--force-new-deployment"),
    ("L14", "live/stream", "/ended", "\"it was ended\"", "then: it was ended", "see H2"),
    ("L14", "live/stream", "/longest_gap_ms", "31000", "silent for 31000 ms", "see H2"),
    ("L15", "live/idle", "/1/second", "\"502\"", "after 61 s: 200 then 502", "KEEP_ALIVE_TIMEOUT"),
    ("L15", "live/idle", "/1/connections", "2", "after 61 s: 200 then 200 on 2 connections", "see H2"),
    ("L16", "live/call", "/ended", "\"it was ended\"", "then: it was ended", "see H2"),
    ("L16", "live/call", "/longest_gap_ms", "31000", "without for 31000 ms", "see H2"),
    ("L16", "live/call", "/result", "\"timeout: `gateway_wait` took longer than 60 s; ask for less\"", "then: timeout", "see H2"),
    ("L17", "live/stream 2", "/content_type", "\"application/json\"", "application/json", "see H2"),
    ("L18", "live/commits", "/seen", "[\"0123456789ab\",\"ba9876543210\"]", "0123456789ab, ba9876543210", "--force-new-deployment"),
    ("L18", "live/commits", "/seen", "[\"ba9876543210\"]", "ba9876543210", "--force-new-deployment"),
    ("L19", "live/challenge", "/cookies", "[]", "none", "see J3"),
    ("M1", SESSIONS, "/Table/BillingModeSummary/BillingMode", "\"PROVISIONED\"", "sessions: ACTIVE, pk, PROVISIONED", "--billing-mode PAY_PER_REQUEST"),
    ("M2", "expiry/mcp-gateway-staging-tokens", "/TimeToLiveDescription/TimeToLiveStatus", "\"DISABLED\"", "tokens: DISABLED", "update-time-to-live --table-name mcp-gateway-staging-tokens"),
    ("M3", "backups/mcp-gateway-staging-tokens", "/ContinuousBackupsDescription/PointInTimeRecoveryDescription/PointInTimeRecoveryStatus", "\"DISABLED\"", "tokens: DISABLED", "PointInTimeRecoveryEnabled=true,RecoveryPeriodInDays=35"),
    ("M4", SESSIONS, "/Table/DeletionProtectionEnabled", "false", "sessions: false", "--deletion-protection-enabled"),
    ("M5", SESSIONS, "/Table/SSEDescription/SSEType", "\"AES256\"", "AES256", "SSEType=KMS,KMSMasterKeyId=arn:aws:kms"),
    ("M6", "key", "/KeyMetadata/KeyState", "\"PendingDeletion\"", "PendingDeletion", "kms cancel-key-deletion"),
    ("M6", "key rotation", "/KeyRotationEnabled", "false", "rotation false", "kms enable-key-rotation"),
];

fn mutate((_, fact, pointer, value, ..): &Mutation) -> crate::verify::facts::Facts {
    let mut facts = healthy();
    let pointer = pointer.replace("CONTAINER", CONTAINER);
    let place = facts
        .value_mut(fact)
        .and_then(|answer| answer.pointer_mut(&pointer));
    *place.unwrap_or_else(|| panic!("`{fact}` has no `{pointer}`")) = serde_json::from_str(value).unwrap();
    facts
}

#[test]
fn each_change_is_noticed_by_exactly_its_assertion_with_the_right_words() {
    for mutation in MUTATIONS {
        let (id, fact, pointer, _, actual, fix) = mutation;
        let report = report(&mutate(mutation));
        assert_eq!(
            ids(&report, "fail"),
            [*id],
            "`{fact}` {pointer}\n{}",
            report.tree(&account())
        );
        assert_eq!(report.count("unknown"), 0, "`{fact}` {pointer}");
        let (said, advised) = said(&report, id);
        assert!(said.contains(actual), "{id}: `{said}` does not say `{actual}`");
        assert!(advised.contains(fix), "{id}: `{advised}` does not advise `{fix}`");
    }
}

/// By the rehearsal of releases on the emulator, or by the suite that probes a cluster: `'H2'` there.
#[test]
fn every_assertion_is_broken_live() {
    let live = [
        include_str!("../../../../gateway/tests/clients/rehearsal/changes.mjs"),
        include_str!("../../../../gateway/tests/clients/rehearsal/operator.mjs"),
        include_str!("../../../../gateway/tests/clients/rehearsal/symptoms.mjs"),
        include_str!("../../../probe/live.test.mjs"),
    ]
    .concat();
    for row in GROUPS.iter().flat_map(|group| group.rows) {
        assert!(live.contains(&format!("'{}'", row.id)), "`{}` is not", row.id);
    }
}

#[test]
fn every_assertion_has_a_change_that_it_notices() {
    let noticed: BTreeSet<&str> = MUTATIONS.iter().map(|(id, ..)| *id).collect();
    let all: BTreeSet<&str> = GROUPS
        .iter()
        .flat_map(|group| group.rows)
        .map(|row| row.id)
        .collect();
    assert_eq!(all.difference(&noticed).collect::<Vec<_>>(), [&""; 0]);
}
