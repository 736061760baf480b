//! Tags as IAM keeps them: keys are told apart without regard to case, and keep the case they were written in
//! (IAM user guide, `id_tags`).

/// The tags of one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::aws) struct Tags(Vec<(String, String)>);

impl Tags {
    /// Sets tags; one whose key is there already replaces it.
    pub(in crate::aws) fn set(&mut self, tags: &[(String, String)]) {
        for (key, value) in tags {
            self.0.retain(|(known, _)| known.to_lowercase() != key.to_lowercase());
            self.0.push((key.clone(), value.clone()));
        }
    }

    /// Takes tags away; a key that is not there is passed over.
    pub(in crate::aws) fn unset(&mut self, keys: &[String]) {
        self.0
            .retain(|(known, _)| !keys.iter().any(|key| key.to_lowercase() == known.to_lowercase()));
    }

    /// How many there are.
    pub(in crate::aws) fn len(&self) -> usize {
        self.0.len()
    }

    /// Keys and values, in the order in which they were set.
    pub(in crate::aws) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}
