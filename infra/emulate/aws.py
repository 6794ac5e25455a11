"""Calls AWS APIs for `aws.ts`: one JSON object per line in, one per line out.

botocore comes with the emulators, and knows every operation and the shape of its parameters.
"""

import json
import sys

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError


def main() -> None:
    session = botocore.session.get_session()
    config = Config(retries={"max_attempts": 1}, connect_timeout=5, read_timeout=60)
    clients = {}
    for line in sys.stdin:
        request = json.loads(line)
        service = request["service"]
        try:
            if service not in clients:
                clients[service] = session.create_client(service, config=config)
            method = getattr(clients[service], request["operation"])
            answer = {"result": method(**request["parameters"])}
        except ClientError as error:
            answer = {"code": error.response["Error"]["Code"], "message": str(error)}
        except (BotoCoreError, AttributeError) as error:
            answer = {"code": type(error).__name__, "message": str(error)}
        print(json.dumps(answer, default=str), flush=True)


main()
