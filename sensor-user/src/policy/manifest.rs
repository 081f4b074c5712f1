//! The shape of a policy file as plain types: for whoever makes policies by program, and for the
//! JSON Schema that editors read. Policies are not read through these, because serde stops at the
//! first error and knows no places. What a shape cannot say (globs, addresses, links, variables)
//! only the compiler checks.

mod rules;

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

pub use rules::{
    ActName, Acts, Capabilities, CapabilityName, CapabilityRule, DeviceRule, ExecRule, FileRight,
    FileRights, FileRule, Globs, NetworkRight, NetworkRights, NetworkRule, ProcessRule,
};

/// An allow list for an agent: what nothing allows is denied, and a deny beats every other rule.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentPolicy {
    /// Version of the language.
    #[schemars(extend("const" = super::API_VERSION))]
    pub api_version: String,
    /// Kind of the document.
    #[schemars(extend("const" = super::KIND))]
    pub kind: String,
    /// What it is called.
    pub metadata: Metadata,
    /// The rules.
    pub spec: Spec,
}

/// What the policy is called.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Name in events and on the command line.
    #[schemars(
        length(max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub name: String,
    /// For Kubernetes; without meaning here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// For people and tools; without meaning here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// For people and tools; without meaning here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// The rules. Their order means nothing.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Whether what is not allowed is refused, or only reported.
    #[serde(default)]
    pub mode: Mode,
    /// Files whose rules are added to these; a relative path begins at this file's directory.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include: Option<Vec<String>>,
    /// Files and directories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<FileRule>>,
    /// Programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<Vec<ExecRule>>,
    /// Device nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<DeviceRule>>,
    /// Addresses and unix sockets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Vec<NetworkRule>>,
    /// What may be done to processes outside the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Vec<ProcessRule>>,
    /// Capabilities that may be used; an agent's root has none that are not named here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<CapabilityRule>>,
}

/// Whether a policy refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// What is not allowed is refused and reported.
    #[default]
    Enforce,
    /// What is not allowed is reported.
    Audit,
}

/// The schema of a policy file, in the draft that editors know best (draft 7).
#[must_use]
pub fn schema() -> Schema {
    SchemaSettings::draft07()
        .with_transform(RecursiveTransform(without_null))
        .into_generator()
        .into_root_schema_for::<AgentPolicy>()
}

/// What may be left out may not be written as nothing either.
fn without_null(schema: &mut Schema) {
    if let Some(serde_json::Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    /// The keys of a definition, in alphabetical order.
    fn keys(schema: &serde_json::Value, definition: &str) -> Vec<String> {
        let at = match definition {
            "" => "/properties".to_owned(),
            name => format!("/definitions/{name}/properties"),
        };
        let properties = schema.pointer(&at).and_then(|p| p.as_object()).unwrap();
        properties.keys().cloned().collect()
    }

    #[test]
    fn nothing_may_be_null() {
        let schema = serde_json::to_string(&schema()).unwrap();
        assert!(schema.contains("\"array\"") && !schema.contains("null"));
    }

    #[test]
    fn the_schema_and_the_reader_know_the_same_keys_and_rights() {
        let schema = serde_json::to_value(schema()).unwrap();
        for (definition, known) in [
            ("", read::MANIFEST_KEYS),
            ("Metadata", read::METADATA_KEYS),
            ("Spec", read::SPEC_KEYS),
            ("FileRule", read::FILE_KEYS),
            ("ExecRule", read::EXEC_KEYS),
            ("DeviceRule", read::DEVICE_KEYS),
            ("NetworkRule", read::NETWORK_KEYS),
            ("ProcessRule", read::NAME_KEYS),
            ("CapabilityRule", read::NAME_KEYS),
        ] {
            let mut known = known.to_vec();
            known.sort_unstable();
            let mut found = keys(&schema, definition);
            found.sort_unstable();
            assert_eq!(found, known, "{definition}");
        }
        for (definition, known) in
            [("FileRight", read::FILE_RIGHTS), ("NetworkRight", read::NETWORK_RIGHTS)]
        {
            let found = schema["definitions"][definition]["oneOf"].as_array().unwrap();
            let found: Vec<_> = found.iter().map(|v| v["const"].as_str().unwrap()).collect();
            let known: Vec<_> = known.iter().flat_map(|right| right.names()).collect();
            assert_eq!(found, known, "{definition}");
        }
    }
}
