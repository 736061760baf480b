#!/bin/sh
# What account 222222222222 needs for ManagementRole default of arn:aws:eks:eu-west-1:111111111111:cluster/hub.
# Written by mooring bootstrap. Read the documents beside it, then run it with credentials of the account.
# Run again, it updates what it made.
account=222222222222
hub='arn:aws:eks:eu-west-1:111111111111:cluster/hub'
object='default'

set -eu
cd "$(dirname "$0")"
export AWS_PAGER=

fail() {
  echo "apply.sh: $*" >&2
  exit 1
}

# What somebody else made under the same name is never touched: the tag says who made it.

# provider ARN URL
provider() {
  if aws iam get-open-id-connect-provider --open-id-connect-provider-arn "$1" >/dev/null 2>&1; then
    echo "OIDC provider $1: is there"
    return
  fi
  aws iam create-open-id-connect-provider --url "$2" --client-id-list sts.amazonaws.com \
    --tags "Key=mooring.dev/hub,Value=$hub" >/dev/null
  echo "OIDC provider $1: created"
}

# policy NAME ARN DESCRIPTION
policy() {
  if owner=$(aws iam get-policy --policy-arn "$2" --output text \
    --query "[Policy.Tags[?Key=='mooring.dev/hub'].Value | [0], Policy.Tags[?Key=='mooring.dev/object'].Value | [0]]" 2>/dev/null); then
    [ "$owner" = "$(printf '%s\t%s' "$hub" "$object")" ] ||
      fail "policy $1 was not made for ManagementRole $object of $hub: choose another name in spec.role.permissionsBoundary"
    # IAM keeps five versions of a policy.
    versions=$(aws iam list-policy-versions --policy-arn "$2" --query 'length(Versions)' --output text)
    if [ "$versions" -ge 5 ]; then
      oldest=$(aws iam list-policy-versions --policy-arn "$2" --output text \
        --query 'sort_by(Versions[?!IsDefaultVersion], &CreateDate)[0].VersionId')
      aws iam delete-policy-version --policy-arn "$2" --version-id "$oldest"
    fi
    aws iam create-policy-version --policy-arn "$2" --policy-document "file://policy-$1.json" --set-as-default >/dev/null
    echo "policy $1: updated"
  else
    aws iam create-policy --policy-name "$1" --description "$3" --policy-document "file://policy-$1.json" \
      --tags "Key=mooring.dev/hub,Value=$hub" "Key=mooring.dev/object,Value=$object" >/dev/null
    echo "policy $1: created"
  fi
}

# role NAME INLINE_POLICY DESCRIPTION
role() {
  if owner=$(aws iam get-role --role-name "$1" --output text \
    --query "Role.Tags[?Key=='mooring.dev/hub'].Value | [0]" 2>/dev/null); then
    [ "$owner" = "$hub" ] || fail "role $1 was not made for $hub: choose another name"
    aws iam update-assume-role-policy --role-name "$1" --policy-document "file://role-$1-trust.json"
    echo "role $1: trust updated"
  else
    aws iam create-role --role-name "$1" --description "$3" --assume-role-policy-document "file://role-$1-trust.json" \
      --tags "Key=mooring.dev/hub,Value=$hub" >/dev/null
    echo "role $1: created"
  fi
  aws iam put-role-policy --role-name "$1" --policy-name "$2" --policy-document "file://role-$1-policy.json"
}

found=$(aws sts get-caller-identity --query Account --output text)
[ "$found" = "$account" ] || fail "these documents are for account $account, the credentials are of $found"

role 'mooring-provisioner' 'mooring-default' 'Mooring on hub enters account 222222222222 by this role.'
role 'mooring-reader' 'mooring-default' 'Whoever looks at what Mooring on hub made in account 222222222222 does so by this role.'
