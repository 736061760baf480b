"""Starts ministack, and tells its policy evaluation what AWS would know of a request.

ministack evaluates identity, trust, boundary and session policies by itself, but for IAM and EKS it leaves out some of
what they name: a role's path, an access entry as a resource, and the condition keys of both services. A policy that
names them would then refuse everything. Here they are looked up in ministack's own state and in the request, as the
service authorization reference has them; nothing of the evaluation is changed, and nothing is allowed by this file.

`MOORING_CLUSTERS` is a JSON object from cluster ARN to `{"endpoint", "ca", "issuer"}`: ministack has no cluster behind
its EKS, and gives one without a certificate authority and with an issuer of its own.
"""

import contextvars
import json
import os
import re

from ministack import app
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import eks, iam

KEYS = contextvars.ContextVar("keys", default={})
CLUSTERS = json.loads(os.environ.get("MOORING_CLUSTERS", "{}"))
# ministack has decoded the path, so that the ARNs in it bring slashes of their own.
ENTRY = re.compile(r"/clusters/([^/]+)/access-entries(?:/(arn:.+?)(?:/access-policies(?:/(arn:.+))?)?)?")


# --- What a request is about, and what is known of it ------------------------------------------------------------------

def about_role(action, given):
    """A role with its path, and the boundary that it has, or that it is to have."""
    role = iam._roles.get(given("RoleName")) or {}
    boundary, arn = role.get("PermissionsBoundary"), role.get("Arn")
    if action in ("CreateRole", "PutRolePermissionsBoundary"):
        boundary = given("PermissionsBoundary")
    if action == "CreateRole":
        arn = f"arn:aws:iam::{get_account_id()}:role{given('Path') or '/'}{given('RoleName')}"
    keys = {f"aws:resourcetag/{tag['Key'].lower()}": tag["Value"] for tag in role.get("Tags", [])}
    if boundary:
        keys["iam:permissionsboundary"] = boundary
    return arn or f"arn:aws:iam::{get_account_id()}:role/{given('RoleName')}", keys


def about_provider(given):
    arn = given("OpenIDConnectProviderArn")
    if not arn:
        arn = f"arn:aws:iam::{get_account_id()}:oidc-provider/{given('Url').split('://', 1)[-1]}"
    return arn, {}


def about_entry(cluster, principal, entry):
    """An access entry, by AWS's form of its ARN (which ends in the ID that ministack's has)."""
    account, name = principal.split(":")[4:5], principal.rsplit("/", 1)[-1]
    own = entry.get("accessEntryArn", "").rsplit("/", 1)[-1] or "none"
    arn = f"arn:aws:eks:{get_region()}:{get_account_id()}:access-entry/{cluster}/role/{''.join(account)}/{name}/{own}"
    keys = {"eks:clustername": cluster, "eks:principalarn": principal}
    if entry:
        keys["eks:accessentrytype"] = entry["type"]
        if entry["kubernetesGroups"]:
            keys["eks:kubernetesgroups"] = entry["kubernetesGroups"]
        if entry["username"]:
            keys["eks:username"] = entry["username"]
        keys.update((f"aws:resourcetag/{key.lower()}", value) for key, value in entry["tags"].items())
    return arn, keys


def about_entries(cluster, principal, policy, method, body):
    if principal is None:
        arn = f"arn:aws:eks:{get_region()}:{get_account_id()}:cluster/{cluster}"
        if method != "POST":
            return arn, {}
        keys = {"eks:principalarn": body.get("principalArn", ""), "eks:accessentrytype": body.get("type", "STANDARD")}
        keys.update((key, body[name]) for key, name in
                    (("eks:kubernetesgroups", "kubernetesGroups"), ("eks:username", "username")) if body.get(name))
        return arn, keys
    arn, keys = about_entry(cluster, principal, eks._access_entries.get(eks._ae_key(cluster, principal)) or {})
    if policy is not None:
        keys["eks:policyarn"] = policy
    if "policyArn" in body:
        scope = body.get("accessScope", {})
        keys["eks:policyarn"] = body["policyArn"]
        keys["eks:accessscope"] = scope.get("type", "")
        if scope.get("namespaces"):
            keys["eks:namespaces"] = scope["namespaces"]
    return arn, keys


def about_tagged(arn):
    for entry in eks._access_entries.values():
        if entry["accessEntryArn"] == arn:
            return about_entry(entry["clusterName"], entry["principalArn"], entry)
    return arn, {}


def about(service, method, path, headers, body, params, region, account):
    """The resource of a request and its condition keys, or None where ministack itself knows them."""
    def given(name):
        return iam_actions._query_param(params, name)

    if service == "iam" and given("RoleName"):
        return about_role(given("Action"), given)
    if service == "iam" and "OpenIDConnectProvider" in given("Action"):
        return about_provider(given)
    if service == "eks":
        found = ENTRY.fullmatch(path)
        if found:
            try:
                content = json.loads(body or b"{}")
            except ValueError:
                content = {}
            return about_entries(*found.groups(), method, content)
        if path.startswith("/tags/"):
            return about_tagged(path[len("/tags/"):])
    return None


# --- Told to the evaluation ---------------------------------------------------------------------------------------------

ministack_resource = iam_actions.extract_resource_arn
ministack_enforce = iam_evaluator.enforce
ministack_key = iam_evaluator._resolve_condition_key


def extract_resource_arn(service, method, path, headers, body, query_params, region, account_id):
    KEYS.set({})
    request = (service, method, path, headers, body, query_params, region, account_id)
    found = about(*request)
    if found is None:
        return ministack_resource(*request)
    KEYS.set(found[1])
    return found[0]


def enforce(access_key_id, iam_action, service, region, resource_arn="*", service_context=None):
    keys = {**(service_context or {}), **KEYS.get()}
    return ministack_enforce(access_key_id, iam_action, service, region, resource_arn=resource_arn, service_context=keys)


def resolve_condition_key(key, ctx):
    """For a session, `aws:PrincipalArn` is the ARN of its role, path included; ministack gives the session's. The
    audience of a Kubernetes token is a list of one."""
    value = ministack_key(key, ctx)
    if key.lower().endswith(":aud") and isinstance(value, list) and len(value) == 1:
        return value[0]
    if key.lower() != "aws:principalarn" or ":assumed-role/" not in str(value):
        return value
    account, name = value.split(":")[4], value.split(":assumed-role/", 1)[1].split("/", 1)[0]
    role = iam._roles.get_scoped(account, None, name)
    return role["Arn"] if role else value


iam_actions.extract_resource_arn = extract_resource_arn
iam_evaluator.enforce = enforce
iam_evaluator._resolve_condition_key = resolve_condition_key


# --- Clusters that lead somewhere ---------------------------------------------------------------------------------------

ministack_sanitize = eks._sanitize


def sanitize(cluster):
    shown = ministack_sanitize(cluster)
    given = CLUSTERS.get(shown["arn"])
    if given:
        shown["endpoint"] = given["endpoint"]
        shown["certificateAuthority"] = {"data": given["ca"]}
        shown["identity"] = {"oidc": {"issuer": given["issuer"]}}
    return shown


eks._sanitize = sanitize

if __name__ == "__main__":
    app.main()
