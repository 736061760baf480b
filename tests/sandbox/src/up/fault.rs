//! Faults as a person writes them on the command line.

use std::str::FromStr;

use crate::aws::{Effect, Fault, contract::Service, operations};

/// A fault as `OPERATION[:ACCOUNT]=EFFECT[@N]`.
#[derive(Clone, Debug)]
pub struct WantedFault(pub Fault);

impl FromStr for WantedFault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape =
            || format!("{text:?} is no fault: write OPERATION[:ACCOUNT]=EFFECT[@N], as in CreateRole=throttle@1");
        let (calls, effect) = text.split_once('=').ok_or_else(shape)?;
        let (operation, account) = match calls.split_once(':') {
            Some((operation, account)) => (operation, Some(super::account(account)?)),
            None => (calls, None),
        };
        let (effect, number) = match effect.split_once('@') {
            Some((effect, number)) => (effect, Some(number.parse::<u64>().map_err(|_| shape())?)),
            None => (effect, None),
        };
        let service = match operations::all().find(|known| known.name == operation) {
            Some(known) => Some(known.service),
            None if operation == "*" => None,
            None => {
                return Err(format!(
                    "the sandbox's AWS has no operation {operation:?}: write its name as AWS does"
                ));
            }
        };
        let effect = effect_of(effect, service)?;
        let mut fault = match service {
            Some(_) => Fault::on(operation, effect),
            None => Fault::on_any(effect),
        };
        if let Some(account) = account {
            fault = fault.in_account(&account);
        }
        if let Some(number) = number {
            fault = fault.nth(number);
        }
        Ok(Self(fault))
    }
}

/// Each service has codes of its own for throttling and for trouble of its own, as `throttle` answers them (EKS API,
/// "Common errors"; IAM and STS API, "Common errors").
fn effect_of(word: &str, service: Option<Service>) -> Result<Effect, String> {
    let error = |status, code, message: &str| Effect::Error {
        status,
        code,
        message: message.to_owned(),
    };
    match (word, service) {
        ("denied", _) => Ok(Effect::AccessDenied),
        ("hang", _) => Ok(Effect::Hang),
        ("close-before", _) => Ok(Effect::CloseBefore),
        ("close-after", _) => Ok(Effect::CloseAfter),
        ("throttle" | "error", None) => Err(format!(
            "{word} has another form in each service: write an operation instead of *"
        )),
        ("throttle", Some(Service::Eks)) => Ok(error(429, "ThrottlingException", "Rate exceeded")),
        ("throttle", Some(Service::Iam | Service::Sts)) => Ok(error(400, "Throttling", "Rate exceeded")),
        ("error", Some(Service::Eks)) => Ok(error(500, "ServerException", "Internal failure")),
        ("error", Some(Service::Iam | Service::Sts)) => Ok(error(500, "InternalFailure", "Internal failure")),
        _ => Err(format!(
            "{word:?} is no effect: write throttle, denied, error, hang, close-before or close-after"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(text: &str, fault: &Fault) {
        let read: WantedFault = text.parse().unwrap();
        assert_eq!(format!("{:?}", read.0), format!("{fault:?}"));
    }

    #[test]
    fn faults_are_read_or_explained() {
        same("DescribeCluster=hang", &Fault::on("DescribeCluster", Effect::Hang));
        same(
            "CreateRole:222222222222=close-after@3",
            &Fault::on("CreateRole", Effect::CloseAfter)
                .in_account("222222222222")
                .nth(3),
        );
        same("*=denied", &Fault::on_any(Effect::AccessDenied));
        let throttled = Effect::Error {
            status: 429,
            code: "ThrottlingException",
            message: "Rate exceeded".to_owned(),
        };
        same("DescribeCluster=throttle", &Fault::on("DescribeCluster", throttled));
        for wrong in [
            "CreateRole",
            "CreateRoel=hang",
            "CreateRole=boom",
            "*=throttle",
            "CreateRole:22=hang",
            "CreateRole=hang@x",
        ] {
            assert!(wrong.parse::<WantedFault>().is_err(), "{wrong}");
        }
    }
}
