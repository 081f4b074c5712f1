//! The rules of each part of a policy: whom a rule gives what, or takes it from.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use sensor_ebpf::act::Act;
use sensor_ebpf::capability::Capability;
use serde::{Deserialize, Serialize};

use super::super::{RuleKind, read};

/// Rights on files.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileRight {
    /// Read content. Where nothing may be written it implies `map`.
    Read,
    /// Change content.
    Write,
    /// Read a directory's entries.
    List,
    /// Give a name to a new object.
    Create,
    /// Take a name away.
    Delete,
    /// Give an existing file a second name.
    Link,
    /// Change mode, owner, times and extended attributes.
    Attr,
    /// Run as a program or script.
    Exec,
    /// Map as code.
    Map,
}

/// Rights on peers and local addresses.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NetworkRight {
    /// Connect, or send to; goes with `to`.
    Connect,
    /// Only send datagrams to; goes with `to`.
    Send,
    /// Take a local address; goes with `on`.
    Bind,
    /// Make and use sockets of a kind; goes with `families`.
    Socket,
}

/// What may be done to a process outside the agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActName(String);

/// A capability: the kernel's name in small letters, without `CAP_`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CapabilityName(String);

/// A string that is one of `names`, or `all`.
fn one_of<'n>(names: impl Iterator<Item = &'n str>) -> Schema {
    let names: Vec<&str> = names.chain([read::ALL]).collect();
    schemars::json_schema!({ "type": "string", "enum": names })
}

impl JsonSchema for ActName {
    fn schema_name() -> Cow<'static, str> {
        "Act".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        one_of(Act::ALL.iter().map(|(_, name)| *name))
    }
}

impl JsonSchema for CapabilityName {
    fn schema_name() -> Cow<'static, str> {
        "Capability".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        one_of(Capability::ALL.iter().map(|(_, name)| *name))
    }
}

/// Acts, if the rule is of that kind.
pub type Acts = Option<Vec<ActName>>;
/// Capabilities, if the rule is of that kind.
pub type Capabilities = Option<Vec<CapabilityName>>;
/// Rights, if the rule is of that kind.
pub type FileRights = Option<Vec<FileRight>>;
/// Rights, if the rule is of that kind.
pub type NetworkRights = Option<Vec<NetworkRight>>;
/// Programs or devices, if the rule is of that kind.
pub type Globs = Option<Vec<String>>;

/// What may be done to files; exactly one of `allow`, `audit`, `ask` and `deny`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = one_verdict()))]
pub struct FileRule {
    /// Give rights.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: FileRights,
    /// Give rights and report their use.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: FileRights,
    /// Hold each use for a person's yes.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: FileRights,
    /// Take rights away, whatever else gives them.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: FileRights,
    /// Globs: `/dir/**` is `dir` and all below it, `**/name` a name anywhere.
    #[schemars(length(min = 1))]
    pub paths: Vec<String>,
    /// Shown with every violation.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Which programs may run; exactly one of `allow`, `audit`, `ask` and `deny`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = one_verdict()))]
pub struct ExecRule {
    /// Programs that may run.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Globs,
    /// Programs that may run, and whose runs are reported.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Globs,
    /// Programs each run of which is held for a person's yes.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Globs,
    /// Programs that may not run, whatever else allows them.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Globs,
    /// Shown with every violation.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Which device nodes may be opened and made, as far as `files` allows it too; exactly one of
/// `allow`, `audit`, `ask` and `deny`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = one_verdict()))]
pub struct DeviceRule {
    /// Devices that may be opened.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Globs,
    /// Devices that may be opened, which is reported.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Globs,
    /// Devices each opening of which is held for a person's yes.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Globs,
    /// Devices that may not be opened, whatever else allows them.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Globs,
    /// Shown with every violation.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Who may be reached, and what bound; exactly one of `allow`, `audit`, `ask` and `deny`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = one_verdict()))]
pub struct NetworkRule {
    /// Give rights.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: NetworkRights,
    /// Give rights and report their use.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: NetworkRights,
    /// Hold each use for a person's yes.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: NetworkRights,
    /// Take rights away, whatever else gives them.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: NetworkRights,
    /// Peers: `10.0.0.0/8:443`, `[2001:db8::]/32:8000-8999`, `tcp:*:443`, `unix:/path`, `unix:@name`.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Vec<String>>,
    /// Local addresses, in the same forms.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<Vec<String>>,
    /// Kinds of sockets as `family[/type[/protocol]]`: `vsock`, `inet/raw`, `netlink/audit`.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub families: Option<Vec<String>>,
    /// Shown with every violation.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What may be done to processes outside the agent; exactly one of `allow`, `audit` and `deny`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = one_verdict_at_once()))]
pub struct ProcessRule {
    /// May be done.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Acts,
    /// May be done, and is reported.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Acts,
    /// May not be done, whatever else allows it.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Acts,
    /// Shown with every violation.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Which capabilities may be used; exactly one of `allow`, `audit` and `deny`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = one_verdict_at_once()))]
pub struct CapabilityRule {
    /// May be used.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Capabilities,
    /// May be used, and their use is reported.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Capabilities,
    /// May not be used, whatever else allows it.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Capabilities,
    /// Shown with every violation.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The verdicts of rules whose operations the kernel cannot hold.
fn one_verdict_at_once() -> serde_json::Value {
    let kinds = RuleKind::ALL.iter().filter(|kind| **kind != RuleKind::Ask);
    kinds.map(|kind| serde_json::json!({ "required": [kind.name()] })).collect()
}

fn one_verdict() -> serde_json::Value {
    RuleKind::ALL.map(|kind| serde_json::json!({ "required": [kind.name()] })).to_vec().into()
}
