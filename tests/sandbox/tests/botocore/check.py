"""Reads every answer of the fake AWS with botocore, AWS's own client, and holds its tables against botocore's models.

Standard input is a JSON object: `tables` (rows of the fake's tables), `root` (credentials of the spoke account's root),
`account`, `cluster`, `region`, `proxy`, `token` (a web identity token), `issuer` and `audience` of it. The environment
is the one that the sandbox gives to every client.
"""

import json
import re
import socket
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree

import botocore.session
from botocore.config import Config
from botocore.credentials import ContainerMetadataFetcher, ContainerProvider
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import ClientError

COMMON = {"AccessDenied", "AccessDeniedException", "ValidationError", "InvalidParameterException", "InvalidAction"}
SESSION = botocore.session.get_session()
PROBLEMS = []
EXERCISED = {}


def problem(text):
    PROBLEMS.append(text)


def operation_key(operation):
    return f"{operation.service_model.service_name}.{operation.name}"


# --- The tables against the models -----------------------------------------------------------------------------------

def check_tables(tables):
    for row in tables:
        service, name = row["service"], row["name"]
        try:
            operation = SESSION.get_service_model(service).operation_model(name)
        except Exception:
            problem(f"{service}.{name}: botocore has no such operation")
            continue
        errors = sorted(error.error_code for error in operation.error_shapes)
        # Query errors are written without their suffix on the wire; botocore's `error_code` has both right.
        if sorted(row["errors"]) != errors:
            problem(f"{service}.{name}: errors {sorted(row['errors'])}, in the model {errors}")
        if row["signed"] == (operation.auth_type == "none"):
            problem(f"{service}.{name}: signed {row['signed']}, in the model auth {operation.auth_type}")
        check_binding(service, name, row, operation)
        check_fields(f"{service}.{name}", row["input"], operation.input_shape)


def check_binding(service, name, row, operation):
    if row["http"] is None:
        if SESSION.get_service_model(service).protocol != "query":
            problem(f"{service}.{name}: not of the query protocol")
        return
    path = operation.http["requestUri"]
    for member, shape in (operation.input_shape.members if operation.input_shape else {}).items():
        if shape.serialization.get("location") == "uri":
            path = path.replace("{" + shape.serialization.get("name", member) + "}", "{" + member + "}")
    wanted = {"method": operation.http["method"], "path": path}
    if row["http"] != wanted:
        problem(f"{service}.{name}: bound to {row['http']}, in the model {wanted}")


def check_fields(at, fields, shape):
    members = dict(shape.members) if shape is not None else {}
    required = set(shape.required_members) if shape is not None else set()
    for field in fields:
        name = field["name"]
        where = f"{at}.{name}"
        member = members.pop(name, None)
        if member is None:
            problem(f"{where}: not in the model")
            continue
        if field["required"] != (name in required):
            problem(f"{where}: required {field['required']}, in the model {name in required}")
        place = {"uri": "label", "querystring": "query"}.get(member.serialization.get("location"), "body")
        if field["place"] != place:
            problem(f"{where}: in the {field['place']}, in the model in the {place}")
        check_kind(where, field["kind"], member)
    for name in members:
        problem(f"{at}.{name}: in the model, but not in the table")


def limits(shape):
    return [shape.metadata.get("min", 0), shape.metadata.get("max")]


def check_kind(where, kind, shape):
    wanted = {"type": shape.type_name}
    if shape.type_name == "string":
        if shape.enum:
            wanted["enum"] = list(shape.enum)
        else:
            wanted.update(limits=limits(shape), pattern=shape.metadata.get("pattern"))
    elif shape.type_name == "integer":
        wanted["limits"] = [shape.metadata.get("min"), shape.metadata.get("max")]
    elif shape.type_name == "list":
        wanted["limits"] = limits(shape)
        check_kind(where + "[]", kind.get("of", {}), shape.member)
    elif shape.type_name == "map":
        wanted["limits"] = limits(shape)
        check_kind(where + ".key", kind.get("key", {}), shape.key)
        check_kind(where + ".value", kind.get("value", {}), shape.value)
    elif shape.type_name == "structure":
        check_fields(where, kind.get("fields", []), shape)
    given = {name: value for name, value in kind.items() if name not in ("of", "key", "value", "fields")}
    if given != wanted:
        problem(f"{where}: {given}, in the model {wanted}")


# --- The hosts -------------------------------------------------------------------------------------------------------

def check_hosts(proxy):
    loader = SESSION.get_component("data_loader")
    partitions = loader.load_data("partitions")
    regions = [region for partition in partitions["partitions"] for region in partition["regions"]]
    hosts = set()
    for service in ("iam", "sts", "eks"):
        rules = EndpointProvider(loader.load_service_model(service, "endpoint-rule-set-1"), partitions)
        for region in regions:
            if region.endswith("-global"):
                continue
            for fips in (False, True):
                for dual_stack in (False, True):
                    try:
                        endpoint = rules.resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dual_stack)
                    except Exception:  # the partition has no such variant
                        continue
                    hosts.add(urllib.parse.urlparse(endpoint.url).hostname)
    if len(hosts) < 200:
        problem(f"only {len(hosts)} hosts were resolved")
    address = urllib.parse.urlparse(proxy)
    for host in sorted(hosts):
        with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
            connection.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nhost: {host}:443\r\n\r\n".encode())
            answer = connection.recv(100)
        if not answer.startswith(b"HTTP/1.1 200 "):
            problem(f"{host}: {answer!r}")


# --- The answers against the models ----------------------------------------------------------------------------------

def local(tag):
    return tag.rsplit("}", 1)[-1]


def walk_xml(at, element, shape):
    kind = shape.type_name
    if kind == "structure":
        known = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        present = [local(child.tag) for child in element]
        for child in element:
            member = known.get(local(child.tag))
            if member is None:
                problem(f"{at}.{local(child.tag)}: not in the model")
            else:
                walk_xml(f"{at}.{local(child.tag)}", child, member)
        if len(present) != len(set(present)):
            problem(f"{at}: a member twice in {present}")
        for name in shape.required_members:
            if name not in present:
                problem(f"{at}.{name}: required by the model, not in the answer")
    elif kind == "list":
        for child in element:
            if local(child.tag) != "member":
                problem(f"{at}: an item is called {local(child.tag)}")
            walk_xml(f"{at}[]", child, shape.member)
    elif len(element):
        problem(f"{at}: not a {kind}, it has members")
    else:
        text = element.text or ""
        patterns = {
            "boolean": r"true|false",
            "integer": r"-?\d+",
            "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
            "string": r"(?s).*",
        }
        if not re.fullmatch(patterns[kind], text):
            problem(f"{at}: {text!r} is not a {kind}")
        check_text(at, text, shape)


def check_text(at, text, shape):
    # The model's enum says `PermissionsBoundaryPolicy`; the API reference's text, its examples and the service itself
    # say `Policy`.
    if shape.name == "PermissionsBoundaryAttachmentType" and text == "Policy":
        return
    if shape.type_name == "string" and shape.enum and text not in shape.enum:
        problem(f"{at}: {text!r} is not one of {shape.enum}")


def walk_json(at, value, shape):
    kinds = {"structure": dict, "map": dict, "list": list, "string": str, "boolean": bool, "integer": int}
    kind = shape.type_name
    if kind == "timestamp":
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
    else:
        fits = isinstance(value, kinds[kind]) and (kind != "integer" or not isinstance(value, bool))
    if not fits:
        problem(f"{at}: {value!r} is not a {kind}")
        return
    if kind == "structure":
        known = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        for name, inner in value.items():
            if name not in known:
                problem(f"{at}.{name}: not in the model")
            else:
                walk_json(f"{at}.{name}", inner, known[name])
        for name in shape.required_members:
            if name not in value:
                problem(f"{at}.{name}: required by the model, not in the answer")
    elif kind == "list":
        for inner in value:
            walk_json(f"{at}[]", inner, shape.member)
    elif kind == "map":
        for inner in value.values():
            walk_json(f"{at}{{}}", inner, shape.value)
    else:
        check_text(at, value, shape)


def read_answer(client, operation_name, response):
    model = client.meta.service_model
    operation = model.operation_model(operation_name)
    at = operation_key(operation)
    headers = {name.lower(): value for name, value in response["headers"].items()}
    if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", headers.get("x-amzn-requestid", "")):
        problem(f"{at}: no x-amzn-requestid")
    failed = response["status_code"] >= 300
    outcomes = EXERCISED.setdefault(at, set())
    outcomes.add("error" if failed else "answer")
    body = response["body"]
    if model.protocol == "query":
        root = ElementTree.fromstring(body)
        if root.tag.partition("}")[0].lstrip("{") != model.metadata["xmlNamespace"]:
            problem(f"{at}: namespace of {root.tag}")
        children = {local(child.tag): child for child in root}
        if failed:
            if local(root.tag) != "ErrorResponse" or set(children) != {"Error", "RequestId"}:
                problem(f"{at}: not an error document: {body!r}")
            return
        if local(root.tag) != f"{operation_name}Response":
            problem(f"{at}: the answer is called {root.tag}")
        expected = {"ResponseMetadata"}
        if operation.output_shape is not None:
            wrapper = operation.output_shape.serialization["resultWrapper"]
            expected.add(wrapper)
            if wrapper in children:
                walk_xml(at, children[wrapper], operation.output_shape)
        if set(children) != expected:
            problem(f"{at}: the answer has {sorted(children)}, expected {sorted(expected)}")
        return
    document = json.loads(body)
    if failed:
        if not isinstance(document.get("message"), str):
            problem(f"{at}: an error without message: {body!r}")
        code = headers.get("x-amzn-errortype")
        shape = next((shape for shape in operation.error_shapes if shape.name == code), None)
        if shape is not None:
            walk_json(f"{at}!{code}", document, shape)
    elif operation.output_shape is not None:
        walk_json(at, document, operation.output_shape)


class Client:
    """A client of botocore's whose every answer is held against the model."""

    def __init__(self, service, credentials, region):
        self.client = SESSION.create_client(
            service,
            region_name=region,
            aws_access_key_id=credentials["access_key_id"],
            aws_secret_access_key=credentials["secret_access_key"],
            aws_session_token=credentials.get("session_token"),
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=20),
        )
        names = self.client.meta.method_to_api_mapping

        def received(response_dict, event_name, **_):
            read_answer(self.client, event_name.rsplit(".", 1)[-1], response_dict)

        self.client.meta.events.register(f"response-received.{self.client.meta.service_model.service_id.hyphenize()}.*", received)
        self.methods = {api: method for method, api in names.items()}

    def call(self, operation, **arguments):
        return getattr(self.client, self.methods[operation])(**arguments)

    def refused(self, wanted, operation, **arguments):
        """Calls and expects an error, as botocore reads it."""
        try:
            self.call(operation, **arguments)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            modelled = {shape.error_code for shape in self.client.meta.service_model.operation_model(operation).error_shapes}
            if code != wanted:
                problem(f"{operation}: {error}, expected {wanted}")
            if code not in modelled | COMMON:
                problem(f"{operation}: {code} is not in the model")
            if code in modelled and type(error) is ClientError:
                problem(f"{operation}: botocore does not know {code} as an exception")
            if not error.response["Error"].get("Message"):
                problem(f"{operation}: {code} without a message")
        else:
            problem(f"{operation}: expected {wanted}, but it was carried out")


def expect(what, actual, wanted):
    if actual != wanted:
        problem(f"{what}: {actual!r}, expected {wanted!r}")


# --- The calls -------------------------------------------------------------------------------------------------------

def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def roles(iam, account, trust):
    tags = [{"Key": "mooring.dev/hub", "Value": "a b"}]
    deny_all = "arn:aws:iam::aws:policy/AWSDenyAll"
    made = iam.call("CreateRole", RoleName="role", Path="/x/", AssumeRolePolicyDocument=trust, Description="d",
                    MaxSessionDuration=7200, PermissionsBoundary=deny_all, Tags=tags)["Role"]
    expect("Arn", made["Arn"], f"arn:aws:iam::{account}:role/x/role")
    iam.refused("EntityAlreadyExists", "CreateRole", RoleName="ROLE", AssumeRolePolicyDocument=trust)
    iam.refused("MalformedPolicyDocument", "CreateRole", RoleName="r2", AssumeRolePolicyDocument="{}")
    role = iam.call("GetRole", RoleName="role")["Role"]
    expect("the trust policy that botocore decodes", role["AssumeRolePolicyDocument"]["Version"], "2012-10-17")
    expect("the boundary", role["PermissionsBoundary"]["PermissionsBoundaryArn"], deny_all)
    expect("the tags", role["Tags"], tags)
    iam.refused("NoSuchEntity", "GetRole", RoleName="nobody")
    iam.call("UpdateRole", RoleName="role", Description="e", MaxSessionDuration=3600)
    iam.refused("NoSuchEntity", "UpdateRole", RoleName="nobody")
    iam.call("UpdateAssumeRolePolicy", RoleName="role", PolicyDocument=trust)
    iam.refused("MalformedPolicyDocument", "UpdateAssumeRolePolicy", RoleName="role", PolicyDocument="[]")
    iam.call("TagRole", RoleName="role", Tags=[{"Key": "k", "Value": ""}])
    iam.refused("NoSuchEntity", "TagRole", RoleName="nobody", Tags=tags)
    expect("tags in pages", len(iam.call("ListRoleTags", RoleName="role", MaxItems=1)["Tags"]), 1)
    iam.refused("NoSuchEntity", "ListRoleTags", RoleName="nobody")
    iam.call("UntagRole", RoleName="role", TagKeys=["k"])
    iam.refused("NoSuchEntity", "UntagRole", RoleName="nobody", TagKeys=["k"])
    iam.call("DeleteRolePermissionsBoundary", RoleName="role")
    iam.refused("NoSuchEntity", "DeleteRolePermissionsBoundary", RoleName="role")
    iam.call("PutRolePermissionsBoundary", RoleName="role", PermissionsBoundary=deny_all)
    iam.refused("NoSuchEntity", "PutRolePermissionsBoundary", RoleName="nobody", PermissionsBoundary=deny_all)


def profiles(iam, account):
    made = iam.call("CreateInstanceProfile", InstanceProfileName="web", Path="/x/")["InstanceProfile"]
    expect("the profile's ARN", made["Arn"], f"arn:aws:iam::{account}:instance-profile/x/web")
    iam.refused("EntityAlreadyExists", "CreateInstanceProfile", InstanceProfileName="WEB")
    iam.call("AddRoleToInstanceProfile", InstanceProfileName="web", RoleName="role")
    iam.refused("LimitExceeded", "AddRoleToInstanceProfile", InstanceProfileName="web", RoleName="role")
    found = iam.call("ListInstanceProfilesForRole", RoleName="role")["InstanceProfiles"]
    expect("its profile and role", [(one["InstanceProfileName"], one["Roles"][0]["RoleName"]) for one in found], [("web", "role")])
    iam.refused("NoSuchEntity", "ListInstanceProfilesForRole", RoleName="nobody")
    iam.refused("DeleteConflict", "DeleteRole", RoleName="role")
    iam.refused("DeleteConflict", "DeleteInstanceProfile", InstanceProfileName="web")
    iam.call("RemoveRoleFromInstanceProfile", InstanceProfileName="web", RoleName="role")
    iam.refused("NoSuchEntity", "RemoveRoleFromInstanceProfile", InstanceProfileName="web", RoleName="role")
    iam.call("DeleteInstanceProfile", InstanceProfileName="web")
    iam.refused("NoSuchEntity", "DeleteInstanceProfile", InstanceProfileName="web")


def policies(iam, account):
    allow = document({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"})
    iam.call("PutRolePolicy", RoleName="role", PolicyName="inline", PolicyDocument=allow)
    iam.refused("NoSuchEntity", "PutRolePolicy", RoleName="nobody", PolicyName="inline", PolicyDocument=allow)
    inline = iam.call("GetRolePolicy", RoleName="role", PolicyName="inline")
    expect("the inline policy that botocore decodes", inline["PolicyDocument"]["Statement"][0]["Action"], "sts:AssumeRole")
    iam.refused("NoSuchEntity", "GetRolePolicy", RoleName="role", PolicyName="other")
    expect("inline policies", iam.call("ListRolePolicies", RoleName="role")["PolicyNames"], ["inline"])
    iam.refused("NoSuchEntity", "ListRolePolicies", RoleName="nobody")
    policy = iam.call("CreatePolicy", PolicyName="managed", Path="/x/", PolicyDocument=allow, Description="d",
                      Tags=[{"Key": "a", "Value": "b"}])["Policy"]
    arn = policy["Arn"]
    expect("the policy's ARN", arn, f"arn:aws:iam::{account}:policy/x/managed")
    iam.refused("EntityAlreadyExists", "CreatePolicy", PolicyName="managed", PolicyDocument=allow)
    expect("the default version", iam.call("GetPolicy", PolicyArn=arn)["Policy"]["DefaultVersionId"], "v1")
    iam.refused("NoSuchEntity", "GetPolicy", PolicyArn=arn + "x")
    version = iam.call("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=allow, SetAsDefault=True)["PolicyVersion"]
    expect("the new version", (version["VersionId"], version["IsDefaultVersion"]), ("v2", True))
    iam.refused("NoSuchEntity", "CreatePolicyVersion", PolicyArn=arn + "x", PolicyDocument=allow)
    shown = iam.call("GetPolicyVersion", PolicyArn=arn, VersionId="v1")["PolicyVersion"]
    expect("the old version", (shown["IsDefaultVersion"], shown["Document"]["Version"]), (False, "2012-10-17"))
    iam.refused("NoSuchEntity", "GetPolicyVersion", PolicyArn=arn, VersionId="v9")
    versions = iam.call("ListPolicyVersions", PolicyArn=arn)["Versions"]
    expect("the versions", [(v["VersionId"], v["IsDefaultVersion"], "Document" in v) for v in versions],
           [("v2", True, False), ("v1", False, False)])
    iam.refused("NoSuchEntity", "ListPolicyVersions", PolicyArn=arn + "x")
    iam.refused("DeleteConflict", "DeletePolicyVersion", PolicyArn=arn, VersionId="v2")
    iam.call("DeletePolicyVersion", PolicyArn=arn, VersionId="v1")
    iam.call("AttachRolePolicy", RoleName="role", PolicyArn=arn)
    iam.refused("NoSuchEntity", "AttachRolePolicy", RoleName="role", PolicyArn=arn + "x")
    attached = iam.call("ListAttachedRolePolicies", RoleName="role")["AttachedPolicies"]
    expect("attached policies", attached, [{"PolicyName": "managed", "PolicyArn": arn}])
    iam.refused("NoSuchEntity", "ListAttachedRolePolicies", RoleName="nobody")
    iam.refused("DeleteConflict", "DeletePolicy", PolicyArn=arn)
    iam.refused("DeleteConflict", "DeleteRole", RoleName="role")
    iam.call("DetachRolePolicy", RoleName="role", PolicyArn=arn)
    iam.refused("NoSuchEntity", "DetachRolePolicy", RoleName="role", PolicyArn=arn)
    iam.call("DeletePolicy", PolicyArn=arn)
    iam.call("DeleteRolePolicy", RoleName="role", PolicyName="inline")
    iam.refused("NoSuchEntity", "DeleteRolePolicy", RoleName="role", PolicyName="inline")


def providers(iam, issuer, audience):
    tags = [{"Key": "a", "Value": "b"}]
    arn = iam.call("CreateOpenIDConnectProvider", Url=issuer, ClientIDList=["other"], Tags=tags)["OpenIDConnectProviderArn"]
    iam.refused("EntityAlreadyExists", "CreateOpenIDConnectProvider", Url=issuer)
    iam.call("AddClientIDToOpenIDConnectProvider", OpenIDConnectProviderArn=arn, ClientID=audience)
    iam.refused("NoSuchEntity", "AddClientIDToOpenIDConnectProvider", OpenIDConnectProviderArn=arn + "x", ClientID=audience)
    iam.call("TagOpenIDConnectProvider", OpenIDConnectProviderArn=arn, Tags=[{"Key": "c", "Value": "d"}])
    iam.refused("NoSuchEntity", "TagOpenIDConnectProvider", OpenIDConnectProviderArn=arn + "x", Tags=tags)
    provider = iam.call("GetOpenIDConnectProvider", OpenIDConnectProviderArn=arn)
    expect("the provider's URL, without scheme", "https://" + provider["Url"], issuer)
    expect("the client IDs", sorted(provider["ClientIDList"]), sorted(["other", audience]))
    iam.refused("NoSuchEntity", "GetOpenIDConnectProvider", OpenIDConnectProviderArn=arn + "x")
    spare = iam.call("CreateOpenIDConnectProvider", Url=issuer + "/spare")["OpenIDConnectProviderArn"]
    iam.call("DeleteOpenIDConnectProvider", OpenIDConnectProviderArn=spare)
    iam.refused("NoSuchEntity", "DeleteOpenIDConnectProvider", OpenIDConnectProviderArn=spare)
    expect("the providers", iam.call("ListOpenIDConnectProviders")["OpenIDConnectProviderList"], [{"Arn": arn}])
    return arn


def sessions(sts, iam, account, region, provider, given):
    expect("the identity", sts.call("GetCallerIdentity")["Arn"], f"arn:aws:iam::{account}:root")
    web = document(
        {"Effect": "Allow", "Principal": {"Federated": provider}, "Action": "sts:AssumeRoleWithWebIdentity"},
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": ["sts:AssumeRole", "sts:TagSession"]},
    )
    role = iam.call("CreateRole", RoleName="web", AssumeRolePolicyDocument=web)["Role"]
    iam.call("PutRolePolicy", RoleName="web", PolicyName="assume", PolicyDocument=document(
        {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Resource": "*"}))
    anybody = {"RoleArn": role["Arn"], "RoleSessionName": "me"}
    first = sts.call("AssumeRoleWithWebIdentity", WebIdentityToken=given["token"], **anybody)
    expect("the audience", first["Audience"], given["audience"])
    sts.refused("InvalidIdentityToken", "AssumeRoleWithWebIdentity", WebIdentityToken="no.token", **anybody)
    session = Client("sts", keys(first), region)
    second = session.call("AssumeRole", DurationSeconds=900, Policy=document({"Effect": "Allow", "Action": "*", "Resource": "*"}),
                          Tags=[{"Key": "a", "Value": "b"}], TransitiveTagKeys=["a"], **anybody)
    expect("the session's ARN", second["AssumedRoleUser"]["Arn"], f"arn:aws:sts::{account}:assumed-role/web/me")
    session.refused("AccessDenied", "AssumeRole", RoleArn=role["Arn"] + "x", RoleSessionName="me")
    identity = Client("sts", keys(second), region).call("GetCallerIdentity")
    expect("the identity of a session", identity["Arn"], f"arn:aws:sts::{account}:assumed-role/web/me")
    Client("iam", keys(second), region).refused("AccessDenied", "GetRole", RoleName="web")
    try:
        Client("sts", {**keys(second), "secret_access_key": "x"}, region).call("GetCallerIdentity")
    except ClientError as error:
        expect("a wrong secret", error.response["Error"]["Code"], "SignatureDoesNotMatch")
    return role["Arn"]


def keys(output):
    credentials = output["Credentials"]
    return {"access_key_id": credentials["AccessKeyId"], "secret_access_key": credentials["SecretAccessKey"],
            "session_token": credentials["SessionToken"]}


def entries(eks, cluster, principal):
    found = eks.call("DescribeCluster", name=cluster)["cluster"]
    expect("the cluster", (found["name"], found["status"]), (cluster, "ACTIVE"))
    eks.refused("ResourceNotFoundException", "DescribeCluster", name="nope")
    entry = {"clusterName": cluster, "principalArn": principal}
    gone = {"clusterName": cluster, "principalArn": principal + "x"}
    made = eks.call("CreateAccessEntry", kubernetesGroups=["a"], tags={"k": "v"}, type="STANDARD", **entry)["accessEntry"]
    eks.refused("ResourceInUseException", "CreateAccessEntry", **entry)
    eks.refused("InvalidParameterException", "CreateAccessEntry", **gone)
    expect("the entry", eks.call("DescribeAccessEntry", **entry)["accessEntry"], made)
    eks.refused("ResourceNotFoundException", "DescribeAccessEntry", **gone)
    updated = eks.call("UpdateAccessEntry", kubernetesGroups=[], username="me", **entry)["accessEntry"]
    expect("the updated entry", (updated["kubernetesGroups"], updated["username"]), ([], "me"))
    eks.refused("ResourceNotFoundException", "UpdateAccessEntry", kubernetesGroups=[], **gone)
    expect("the entries", eks.call("ListAccessEntries", clusterName=cluster, maxResults=1)["accessEntries"], [principal])
    eks.refused("ResourceNotFoundException", "ListAccessEntries", clusterName="nope")
    policy = eks.call("ListAccessPolicies", maxResults=1)["accessPolicies"][0]["arn"]
    eks.refused("InvalidParameterException", "ListAccessPolicies", nextToken="x")
    scope = {"type": "namespace", "namespaces": ["a", "b-*"]}
    associated = eks.call("AssociateAccessPolicy", policyArn=policy, accessScope=scope, **entry)["associatedAccessPolicy"]
    expect("the scope", associated["accessScope"], scope)
    eks.refused("ResourceNotFoundException", "AssociateAccessPolicy", policyArn=policy, accessScope=scope, **gone)
    listed = eks.call("ListAssociatedAccessPolicies", **entry)["associatedAccessPolicies"]
    expect("the associations", listed, [associated])
    eks.refused("ResourceNotFoundException", "ListAssociatedAccessPolicies", **gone)
    eks.call("DisassociateAccessPolicy", policyArn=policy, **entry)
    eks.refused("ResourceNotFoundException", "DisassociateAccessPolicy", policyArn=policy, **entry)
    arn = made["accessEntryArn"]
    eks.call("TagResource", resourceArn=arn, tags={"a": "b c"})
    eks.refused("NotFoundException", "TagResource", resourceArn=arn + "x", tags={"a": "b"})
    eks.call("UntagResource", resourceArn=arn, tagKeys=["k", "z"])
    eks.refused("NotFoundException", "UntagResource", resourceArn=arn + "x", tagKeys=["k"])
    expect("the tags", eks.call("DescribeAccessEntry", **entry)["accessEntry"]["tags"], {"a": "b c"})
    eks.call("DeleteAccessEntry", **entry)
    eks.refused("ResourceNotFoundException", "DeleteAccessEntry", **entry)


def pod_identity(account, region, given):
    """The SDK's own container provider takes the pod's environment."""
    provider = ContainerProvider(environ=given["pod"], fetcher=ContainerMetadataFetcher())
    credentials = provider.load().get_frozen_credentials()
    client = Client("sts", {"access_key_id": credentials.access_key, "secret_access_key": credentials.secret_key,
                            "session_token": credentials.token}, region)
    arn = client.call("GetCallerIdentity")["Arn"]
    expect("the pod's identity", arn.startswith(f"arn:aws:sts::{account}:assumed-role/pod/eks-"), True)


def main():
    given = json.load(sys.stdin)
    account, region, root = given["account"], given["region"], given["root"]
    check_tables(given["tables"])
    check_hosts(given["proxy"])
    iam, sts, eks = (Client(service, root, region) for service in ("iam", "sts", "eks"))
    trust = document({"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"})
    roles(iam, account, trust)
    profiles(iam, account)
    policies(iam, account)
    provider = providers(iam, given["issuer"], given["audience"])
    principal = sessions(sts, iam, account, region, provider, given)
    entries(eks, given["cluster"], principal)
    pod_identity(account, region, given)
    iam.call("DeleteRole", RoleName="role")
    iam.refused("NoSuchEntity", "DeleteRole", RoleName="role")
    # Operations of which no input is refused by a service: only their answers can be read.
    never_refused = {"iam.ListOpenIDConnectProviders"}
    for row in given["tables"]:
        name = f"{row['service']}.{row['name']}"
        for outcome in ("answer", "error"):
            if outcome not in EXERCISED.get(name, set()) and not (outcome == "error" and name in never_refused):
                problem(f"{name}: no {outcome} of it was read")
    if PROBLEMS:
        sys.exit("\n".join(PROBLEMS))
    print(f"{len(EXERCISED)} operations read")


if __name__ == "__main__":
    main()
