"""Makes calls with botocore, AWS's own client: a JSON object a line on standard input, and one on standard output.

A call is `{"credentials", "region", "service", "operation", "input"}`, with credentials as STS gives them; ministack takes
a key of an account's 12 digits for its root user. An answer is `{"output"}` or `{"refused": {"code", "message"}}`.
"""

import json
import sys

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

SESSION = botocore.session.get_session()
CLIENTS = {}


def client(call):
    given = call["credentials"]
    key = (given["AccessKeyId"], call["region"], call["service"])
    if key not in CLIENTS:
        CLIENTS[key] = SESSION.create_client(
            call["service"], region_name=call["region"], aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"], aws_session_token=given.get("SessionToken"),
            config=Config(retries={"total_max_attempts": 1}),
        )
    return CLIENTS[key]


def answer(call):
    try:
        output = client(call)._make_api_call(call["operation"], call["input"])
    except ClientError as error:
        return {"refused": {"code": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}}
    except BotoCoreError as error:
        return {"refused": {"code": "Unsent", "message": str(error)}}
    output.pop("ResponseMetadata", None)
    return {"output": output}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line)), default=str), flush=True)
