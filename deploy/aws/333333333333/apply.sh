#!/bin/sh
# What account 333333333333 needs for ManagementRole default of arn:aws:eks:eu-west-1:111111111111:cluster/hub.
# Written by mooring bootstrap. Read the documents beside it, then run it with credentials of the account.
# Run again, it updates what it made. What is another's it leaves alone, and then it changes nothing.
account=333333333333
hub='arn:aws:eks:eu-west-1:111111111111:cluster/hub'
object='default'

set -eu
CDPATH='' cd -- "$(dirname -- "$0")"
export AWS_PAGER=
replace=${1:-}
case $replace in
  '' | --replace-trust) ;;
  *)
    echo "usage: sh apply.sh [--replace-trust]" >&2
    echo "Makes or updates with the AWS CLI what the documents beside it say, in account $account. It looks at everything" >&2
    echo "first, and writes nothing where one thing is somebody else's." >&2
    exit 2
    ;;
esac

fail() {
  echo "apply.sh: $*" >&2
  exit 1
}

# there CALL: $answer, when what CALL reads is there. Only AWS's own word is taken for absence.
there() {
  if answer=$(aws iam "$@" 2>/dev/null); then
    return 0
  fi
  if ! answer=$(aws iam "$@" 2>&1); then
    case $answer in
      *NoSuchEntity*) return 1 ;;
      *) fail "$answer" ;;
    esac
  fi
}

# What somebody else made under the same name is never touched: the tags say who made it. Each of the three looks
# whether it may write, and writes only when $writing is set: a refusal of one leaves all as it is.

# provider ARN URL
provider() {
  if there get-open-id-connect-provider --open-id-connect-provider-arn "$1" --output text \
    --query "contains(ClientIDList, 'sts.amazonaws.com')"; then
    [ "$answer" = True ] ||
      fail "OIDC provider $1 does not take tokens for sts.amazonaws.com, by which the operator comes in: \
aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn $1 --client-id sts.amazonaws.com. \
Nothing was changed."
    [ -z "$writing" ] || echo "OIDC provider $1: is there"
  elif [ -n "$writing" ]; then
    aws iam create-open-id-connect-provider --url "$2" --client-id-list sts.amazonaws.com \
      --tags "Key=mooring.dev/hub,Value=$hub" >/dev/null
    echo "OIDC provider $1: created"
  fi
}

# policy NAME ARN DESCRIPTION
policy() {
  if there get-policy --policy-arn "$2" --output text \
    --query "[Policy.Tags[?Key=='mooring.dev/hub'].Value | [0], Policy.Tags[?Key=='mooring.dev/object'].Value | [0]]"; then
    [ "$answer" = "$(printf '%s\t%s' "$hub" "$object")" ] ||
      fail "policy $1 was not made for ManagementRole $object of $hub: choose another name in spec.role.permissionsBoundary"
    [ -n "$writing" ] || return 0
    # IAM keeps five versions of a policy.
    versions=$(aws iam list-policy-versions --policy-arn "$2" --query 'length(Versions)' --output text)
    if [ "$versions" -ge 5 ]; then
      oldest=$(aws iam list-policy-versions --policy-arn "$2" --output text \
        --query 'sort_by(Versions[?!IsDefaultVersion], &CreateDate)[0].VersionId')
      aws iam delete-policy-version --policy-arn "$2" --version-id "$oldest"
    fi
    aws iam create-policy-version --policy-arn "$2" --policy-document "file://policy-$1.json" --set-as-default >/dev/null
    echo "policy $1: updated"
  elif [ -n "$writing" ]; then
    aws iam create-policy --policy-name "$1" --description "$3" --policy-document "file://policy-$1.json" \
      --tags "Key=mooring.dev/hub,Value=$hub" "Key=mooring.dev/object,Value=$object" >/dev/null
    echo "policy $1: created"
  else
    all=$(aws iam list-policies --scope Local --query 'Policies[].[PolicyName, Arn]' --output text)
    taken=$(printf '%s\n' "$all" | awk -F '\t' -v name="$1" 'tolower($1) == tolower(name) { print $2 }')
    [ -z "$taken" ] ||
      fail "policy $1 cannot be made: there is $taken, and IAM tells names apart by neither path nor case: choose \
another name in spec.role.permissionsBoundary. Nothing was changed."
  fi
}

# role NAME INLINE_POLICY DESCRIPTION
role() {
  if there get-role --role-name "$1" --output text \
    --query "[Role.Path, Role.Tags[?Key=='mooring.dev/hub'].Value | [0], Role.Tags[?Key=='mooring.dev/uid'].Value | [0]]"; then
    # The operator's own roles bear a UID, and those of bootstrap none.
    [ "$answer" = "$(printf '/\t%s\tNone' "$hub")" ] ||
      fail "role $1 was not made by bootstrap for $hub: choose another name"
    trust "$1" "$2"
  elif [ -n "$writing" ]; then
    aws iam create-role --role-name "$1" --description "$3" --assume-role-policy-document "file://role-$1-trust.json" \
      --tags "Key=mooring.dev/hub,Value=$hub" >/dev/null
    echo "role $1: created"
  fi
  [ -z "$writing" ] ||
    aws iam put-role-policy --role-name "$1" --policy-name "$2" --policy-document "file://role-$1-policy.json"
}

# parts DOCUMENT: what a policy is made of, in an order of its own, since nobody says in which one AWS gives it.
parts() {
  printf '%s' "$1" | tr -d '[:space:]' | tr ',{}[]' '\n\n\n\n\n' | sort
}

# trust ROLE INLINE_POLICY: whom the role lets in, which the ManagementRoles that share it must say alike.
trust() {
  standing=$(aws iam get-role --role-name "$1" --query Role.AssumeRolePolicyDocument --output json)
  if [ "$replace" != --replace-trust ] && [ "$(parts "$standing")" != "$(parts "$(cat "role-$1-trust.json")")" ]; then
    # Every value in it, but external IDs, which change, and what is left of principals that were deleted.
    lost=$(printf '%s' "$standing" | tr '\n' ' ' |
      sed -E 's/"sts:ExternalId": *(\[[^]]*\]|"[^"]*")//g; s/"[^"]*" *://g' | grep -o '"[^"]*"' | sed -E '/^"A[A-Z0-9]{15,}"$/d' |
      sort -u | while read -r one; do
      grep -qF "$one" "role-$1-trust.json" || printf ' %s' "$one"
    done)
    [ -z "$lost" ] ||
      fail "role $1 lets somebody in whom role-$1-trust.json does not, or not so:$lost. Run bootstrap with the flags that \
it was run with before (Irsa comes with --hub-issuer, roles of people with --reader, a namespace or service account of \
its own with --operator-namespace, --operator-service-account and --verifier-service-account), or, when nobody needs it \
any more, apply.sh --replace-trust. Nothing was changed."
    sharing=$(aws iam list-role-policies --role-name "$1" --output text \
      --query "join(', ', PolicyNames[?starts_with(@, 'mooring-') && @ != '$2'])")
    if [ -n "$sharing" ]; then
      printf '%s\n' "$standing" >&2
      fail "role $1 serves other ManagementRoles of this hub too (policies $sharing), and lets in whom the trust policy \
above says, which role-$1-trust.json does not say alike. Have bootstrap say the same for all of them \
(spec.provisioner.externalId, --reader, --hub-issuer), choose another name for the role, or, when everything that the \
others need is in the new one, run apply.sh --replace-trust. Nothing was changed."
    fi
  fi
  if [ -n "$writing" ]; then
    aws iam update-assume-role-policy --role-name "$1" --policy-document "file://role-$1-trust.json"
    echo "role $1: trust policy and permissions updated"
  fi
}

found=$(aws sts get-caller-identity --query Account --output text)
[ "$found" = "$account" ] || fail "these documents are for account $account, the credentials are of $found"


everything() {
  role 'mooring-provisioner' 'mooring-default' 'Mooring on hub enters account 333333333333 by this role.'
  role 'mooring-reader' 'mooring-default' 'Whoever looks at what Mooring on hub made in account 333333333333 does so by this role.'
}

writing=
everything
writing=yes
everything
