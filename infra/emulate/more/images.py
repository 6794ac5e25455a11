"""What ministack's ECR leaves out: the scan of an image for known vulnerabilities, and what refers to an image.

A scan is a basic one: it knows the packages of Debian, and nothing of an image without an operating system.
"""

import functools
import io
import json
import os
import tarfile
import time

import requests
from ministack.core.responses import AccountRegionScopedDict, error_response_json, json_response
from ministack.services import ecr

from more import instead_of

# Where layers are; ministack itself is told manifests only.
REGISTRY = os.environ.get("IMAGE_REGISTRY")

SYSTEM, PACKAGES = "etc/os-release", "var/lib/dpkg/status"
# All that is known to be vulnerable.
CRITICAL = {("xz-utils", "5.6.0-0.2"): "CVE-2024-3094"}

# When an image was scanned, in seconds since 1970, by repository and digest.
_scanned = AccountRegionScopedDict()


@functools.cache
def _packages(repository, manifest):
    """Names and versions of the packages in an image; `None` if there is no operating system in it."""
    files = {}
    for layer in json.loads(manifest)["layers"]:
        blob = requests.get(f"http://{REGISTRY}/v2/{repository}/blobs/{layer['digest']}", timeout=30)
        blob.raise_for_status()
        with tarfile.open(fileobj=io.BytesIO(blob.content)) as archive:
            for member in archive:
                path = member.name.removeprefix("./")
                if path in (SYSTEM, PACKAGES) and member.isfile():
                    files[path] = archive.extractfile(member).read().decode()
    if SYSTEM not in files:
        return None
    found = []
    for paragraph in files.get(PACKAGES, "").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line)
        found.append((fields.get("Package"), fields.get("Version")))
    return found


def _findings(packages):
    return [{
        "name": CRITICAL[package],
        "severity": "CRITICAL",
        "attributes": [{"key": "package_name", "value": package[0]}, {"key": "package_version", "value": package[1]}],
    } for package in packages if package in CRITICAL]


def _image(data):
    """The image that a request is about; or an answer that says why there is none."""
    name = data["repositoryName"]
    if name not in ecr._repositories:
        return None, error_response_json("RepositoryNotFoundException", f"The repository with name '{name}' does not exist", 400)
    image = ecr._find_image(name, data["imageId"])
    if image is None:
        return None, error_response_json("ImageNotFoundException", "The image does not exist", 400)
    return image, None


def _of(data, image):
    return {"registryId": image["registryId"], "repositoryName": data["repositoryName"], "imageId": image["imageId"]}


def _start_image_scan(data):
    image, refusal = _image(data)
    if refusal:
        return refusal
    _scanned[data["repositoryName"], image["imageDigest"]] = time.time()
    return json_response({**_of(data, image), "imageScanStatus": {"status": "IN_PROGRESS"}})


def _describe_image_scan_findings(data):
    image, refusal = _image(data)
    if refusal:
        return refusal
    at = _scanned.get((data["repositoryName"], image["imageDigest"]))
    if at is None:
        return error_response_json("ScanNotFoundException", "Image scan does not exist for the image", 400)
    packages = _packages(data["repositoryName"], image["imageManifest"])
    if packages is None:
        why = "UnsupportedImageError: The operating system and/or package manager are not supported."
        return json_response({**_of(data, image), "imageScanStatus": {"status": "FAILED", "description": why}})
    findings = _findings(packages)
    return json_response({
        **_of(data, image),
        "imageScanStatus": {"status": "COMPLETE", "description": "The scan was completed successfully."},
        "imageScanFindings": {
            "findings": findings,
            "findingSeverityCounts": {"CRITICAL": len(findings)} if findings else {},
            "imageScanCompletedAt": at,
            "vulnerabilitySourceUpdatedAt": at,
        },
    })


def _list_image_referrers(data):
    """The artifacts whose manifests name the image as their subject."""
    name = data["repositoryName"]
    if name not in ecr._repositories:
        return error_response_json("RepositoryNotFoundException", f"The repository with name '{name}' does not exist", 400)
    referrers = []
    for image in ecr._images[name]:
        manifest = json.loads(image["imageManifest"])
        if manifest.get("subject", {}).get("digest") == data["subjectId"]["imageDigest"]:
            referrers.append({
                "digest": image["imageDigest"],
                "mediaType": image["imageManifestMediaType"],
                "artifactType": manifest.get("artifactType", manifest["config"]["mediaType"]),
                "size": len(image["imageManifest"]),
                "annotations": manifest.get("annotations", {}),
                "artifactStatus": "ACTIVE",
            })
    return json_response({"referrers": referrers})


@instead_of(ecr)
def _put_image(original, data):
    answer = original(data)
    if answer[0] == 200 and ecr._repositories[data["repositoryName"]]["imageScanningConfiguration"].get("scanOnPush"):
        image = json.loads(answer[2])["image"]
        _scanned.setdefault((data["repositoryName"], image["imageId"]["imageDigest"]), time.time())
    return answer


@instead_of(ecr)
def _batch_delete_image(original, data):
    answer = original(data)
    for image in json.loads(answer[2]).get("imageIds", []):
        _scanned.pop((data["repositoryName"], image["imageDigest"]), None)
    return answer


ACTIONS = {
    "StartImageScan": _start_image_scan,
    "DescribeImageScanFindings": _describe_image_scan_findings,
    "ListImageReferrers": _list_image_referrers,
}


_others = ecr.handle_request


async def _handle_request(method, path, headers, body, query_params):
    answer = ACTIONS.get(headers.get("x-amz-target", "").rpartition(".")[2])
    if answer is None:
        return await _others(method, path, headers, body, query_params)
    return answer(json.loads(body))


ecr.handle_request = _handle_request
