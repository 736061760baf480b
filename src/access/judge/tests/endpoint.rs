//! What is said of an API server that is not reached.

use super::*;

#[test]
fn what_eks_did_not_tell_of_an_endpoint_is_said() {
    let subject = subject();
    let mut evidence = holding(&subject);
    evidence.endpoint = Attempt::Failed(Unreached::TimedOut("no answer".into()));
    evidence.reviews.clear();
    evidence.spoke_documents.cluster = Look::Unseen("not authorized to perform eks:DescribeCluster".into());
    let walk = judge(&subject, &evidence);
    // It may be private, and then nothing is broken.
    assert_eq!(walk.broken(), None);
    let (hop, trouble) = walk.unknown().unwrap();
    assert_eq!((hop, trouble.reason), (Hop::Endpoint, Reason::ConnectionTimedOut));
    assert!(trouble.message.contains("eks:DescribeCluster"), "{}", trouble.message);
}

/// What EKS gives by now is what tells a cluster that changed from something that stands between.
#[test]
fn a_cluster_that_eks_gives_otherwise_by_now_is_told_as_that() {
    let subject = subject();
    let mut evidence = holding(&subject);
    let mut told = |endpoint: Option<&str>, authority: Option<&str>, why: fn(String) -> Unreached| {
        unreachable(why, true, &[])(&mut subject.clone(), &mut evidence);
        if let Look::Seen(cluster) = &mut evidence.spoke_documents.cluster {
            cluster.endpoint = endpoint.map(str::to_owned);
            cluster.certificate_authority = authority.map(|pem| BASE64_STANDARD.encode(pem));
        }
        let walk = judge(&subject, &evidence);
        let (hop, trouble) = walk.broken().unwrap();
        assert_eq!(hop, Hop::Endpoint);
        (trouble.message.clone(), trouble.next.clone())
    };
    let own = std::str::from_utf8(AUTHORITY).unwrap();
    for (authority, says, next) in [
        (Some(own), "It is the one that EKS gives", "NO_PROXY"),
        (
            Some("another"),
            "another certificate authority for the cluster by now",
            "Mooring will give the Secret",
        ),
        (None, "It is the one that EKS gives", "NO_PROXY"),
    ] {
        let (message, what_next) = told(None, authority, Unreached::Certificate);
        assert!(
            message.contains(says) && what_next.contains(next),
            "{message} {what_next}"
        );
    }
    let elsewhere = "https://4567.gr7.eu-central-1.eks.amazonaws.com";
    for why in [
        Unreached::Name,
        Unreached::Refused,
        Unreached::TimedOut,
        Unreached::Other,
    ] {
        let (message, next) = told(Some(elsewhere), None, why);
        assert!(
            message.contains(&format!("gives the endpoint {elsewhere}")),
            "{message}"
        );
        assert!(next.contains("Mooring will lead the Secret there"), "{next}");
        let (message, _) = told(Some(&format!("{}/", subject.destination.server)), None, why);
        assert!(!message.contains("gives the endpoint"), "{message}");
    }
}

/// Where EKS gives by now what the Secret has, the walk goes there; and where nobody could ask EKS, that is said.
#[test]
fn a_destination_is_judged_by_what_eks_gives() {
    let mut subject = subject();
    let evidence = holding(&subject);
    subject.destination.certificate_authority = "of before".into();
    let walk = judge(&subject, &evidence);
    assert!(walk.holds(), "{walk:#?}");
    let mut elsewhere = evidence.clone();
    elsewhere.destination = subject.destination.clone();
    let told = |evidence: &Evidence| {
        let walk = judge(&subject, evidence);
        let (hop, trouble) = walk.broken().unwrap();
        assert_eq!((hop, trouble.reason), (Hop::Endpoint, Reason::DestinationDiffers));
        trouble.message.clone()
    };
    assert!(told(&elsewhere).ends_with("no token is sent there"));
    elsewhere.spoke_documents.cluster = Look::Unseen("AccessDenied".into());
    let message = told(&elsewhere);
    let says = "no token is sent there. What EKS gives for the cluster by now could not be read: AccessDenied";
    assert!(message.ends_with(says), "{message}");
}
