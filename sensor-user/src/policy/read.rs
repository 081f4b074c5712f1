//! From the YAML tree to the types: knows every key, and says of each that is unknown, missing or
//! of the wrong shape where it is and what would be right.

mod ends;
mod shape;

use sensor_ebpf::act::Act;
use sensor_ebpf::capability::Capability;
use sensor_ebpf::rights::Rights;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::model::{Manifest, Mode, Rule, RuleKind, Section, Spanned, Text};
use super::suggest::suggest;
use super::yaml::{self, Node, Value};
use shape::{Fields, Reader};

/// What `apiVersion` must be.
pub const API_VERSION: &str = "picket.dev/v1alpha1";
/// What `kind` must be.
pub const KIND: &str = "AgentPolicy";

pub(super) const MANIFEST_KEYS: &[&str] = &["apiVersion", "kind", "metadata", "spec"];
pub(super) const METADATA_KEYS: &[&str] = &["name", "namespace", "labels", "annotations"];
pub(super) const SPEC_KEYS: &[&str] =
    &["mode", "include", "files", "exec", "devices", "network", "process", "capabilities"];
/// Parts of `spec` that are decided and not built yet: their names are taken.
const SPEC_LATER: &[&str] = &["domains", "limits", "taints", "escalation"];
pub(super) const FILE_KEYS: &[&str] = &["allow", "audit", "ask", "deny", "paths", "reason"];
pub(super) const EXEC_KEYS: &[&str] = &["allow", "audit", "ask", "deny", "reason"];
pub(super) const DEVICE_KEYS: &[&str] = EXEC_KEYS;
/// Keys of the rules of `process` and `capabilities`.
pub(super) const NAME_KEYS: &[&str] = &["allow", "audit", "deny", "reason"];
pub(super) const NETWORK_KEYS: &[&str] =
    &["allow", "audit", "ask", "deny", "to", "on", "families", "reason"];

/// Rights that the rules of `files` may name.
pub(super) const FILE_RIGHTS: &[Rights] = &[
    Rights::READ,
    Rights::WRITE,
    Rights::LIST,
    Rights::CREATE,
    Rights::DELETE,
    Rights::LINK,
    Rights::ATTR,
    Rights::EXEC,
    Rights::MAP,
];
/// Rights that the rules of `network` may name.
pub(super) const NETWORK_RIGHTS: &[Rights] =
    &[Rights::CONNECT, Rights::SEND, Rights::BIND, Rights::SOCKET];

/// In `process` and `capabilities`: every name.
pub(super) const ALL: &str = "all";

/// Longest `reason` in bytes: it is carried in every event.
const REASON_MAX: usize = 200;

/// Reads the manifest in `file`; `None` if there is nothing to go on with. Everything that is
/// wrong is in `diagnostics` either way.
pub(super) fn manifest(file: u32, diagnostics: &mut Diagnostics) -> Option<Manifest> {
    let root = yaml::parse(file, diagnostics)?;
    let mut reader = Reader { diagnostics };
    reader.manifest(&root)
}

impl Reader<'_> {
    fn manifest(&mut self, root: &Node) -> Option<Manifest> {
        let fields = self.fields(root, "a policy", MANIFEST_KEYS)?;
        self.constant(&fields, "apiVersion", API_VERSION);
        self.constant(&fields, "kind", KIND);
        let name =
            self.required(&fields, "metadata", "a policy").and_then(|node| self.metadata(node));
        let mut manifest = Manifest {
            name: name.unwrap_or_default(),
            mode: None,
            include: Vec::new(),
            rules: Vec::new(),
        };
        if let Some(spec) = self.required(&fields, "spec", "a policy") {
            self.spec(spec, &mut manifest);
        }
        Some(manifest)
    }

    fn constant(&mut self, fields: &Fields<'_>, key: &str, expected: &str) {
        let Some(node) = self.required(fields, key, "a policy") else {
            return;
        };
        if let Some(text) = self.string(node, &format!("`{key}`"))
            && text.value != expected
        {
            let message =
                format!("`{key}` is `{}`, and this version knows `{expected}`", text.value);
            self.error_hint(text.span, message, format!("write `{key}: {expected}`"));
        }
    }

    fn metadata(&mut self, node: &Node) -> Option<String> {
        let fields = self.fields(node, "`metadata`", METADATA_KEYS)?;
        for key in ["labels", "annotations"] {
            if let Some(node) = fields.get(key) {
                self.strings_map(node, key);
            }
        }
        if let Some(node) = fields.get("namespace") {
            self.string(node, "`namespace`");
        }
        let node = self.required(&fields, "name", "`metadata`")?;
        let name = self.string(node, "`name`")?;
        if !is_object_name(&name.value) {
            let message = format!("`{}` is no name for a policy", name.value);
            let hint = "a name has 1 to 253 lower-case letters, digits, `-` and `.`, \
                        and begins and ends with a letter or digit, as names in Kubernetes do";
            self.error_hint(name.span, message, hint);
        }
        Some(name.value)
    }

    fn strings_map(&mut self, node: &Node, key: &str) {
        let Value::Map(entries) = &node.value else {
            self.error(node.span, format!("`{key}` must be a mapping, and is {}", node.kind()));
            return;
        };
        for (_, value) in entries {
            self.string(value, &format!("a value of `{key}`"));
        }
    }

    fn spec(&mut self, node: &Node, manifest: &mut Manifest) {
        let Some(fields) = self.fields(node, "`spec`", SPEC_KEYS) else {
            return;
        };
        manifest.mode = fields.get("mode").and_then(|node| self.mode(node));
        if let Some(node) = fields.get("include") {
            manifest.include = self.strings(node, "`include`");
        }
        // In the order of the text: of two rules alike, the first is named as the deciding one.
        for (key, _, node) in &fields.entries {
            let section = match *key {
                "files" => Section::Files,
                "exec" => Section::Exec,
                "devices" => Section::Devices,
                "network" => Section::Network,
                "process" => Section::Process,
                "capabilities" => Section::Capabilities,
                _ => continue,
            };
            for item in self.items(node, &format!("`{key}`")) {
                let rule = self.rule(item, section, key);
                manifest.rules.extend(rule);
            }
        }
    }

    fn mode(&mut self, node: &Node) -> Option<Spanned<Mode>> {
        let text = self.string(node, "`mode`")?;
        let value = match text.value.as_str() {
            "enforce" => Mode::Enforce,
            "audit" => Mode::Audit,
            other => {
                let message = format!("unknown mode `{other}`");
                let hint = suggest(other, ["enforce", "audit"])
                    .unwrap_or_else(|| "a mode is `enforce` or `audit`".to_owned());
                self.error_hint(text.span, message, hint);
                return None;
            }
        };
        Some(Spanned { value, span: text.span })
    }

    fn rule(&mut self, node: &Node, section: Section, key: &str) -> Option<Rule> {
        let (known, of) = match section {
            Section::Files => (FILE_KEYS, "a rule of `files`"),
            Section::Exec => (EXEC_KEYS, "a rule of `exec`"),
            Section::Devices => (DEVICE_KEYS, "a rule of `devices`"),
            Section::Network => (NETWORK_KEYS, "a rule of `network`"),
            Section::Process => (NAME_KEYS, "a rule of `process`"),
            Section::Capabilities => (NAME_KEYS, "a rule of `capabilities`"),
        };
        let fields = self.fields(node, of, known)?;
        let (kind, list) = self.verdict(&fields, key)?;
        let reason = fields.get("reason").and_then(|node| self.reason(node));
        let mut rule = Rule {
            section,
            kind,
            rights: Rights::NONE,
            targets: Vec::new(),
            local: Vec::new(),
            families: Vec::new(),
            reason,
        };
        match section {
            Section::Exec => {
                rule.targets = self.strings(list, "the list of programs");
                rule.rights = Rights::EXEC;
            }
            Section::Devices => {
                rule.targets = self.strings(list, "the list of devices");
                rule.rights = Rights::DEVICE;
            }
            Section::Files => {
                rule.rights = self.rights(list, FILE_RIGHTS, NETWORK_RIGHTS, "network");
                if let Some(node) = self.required(&fields, "paths", of) {
                    rule.targets = self.strings(node, "`paths`");
                }
            }
            Section::Network => {
                rule.rights = self.rights(list, NETWORK_RIGHTS, FILE_RIGHTS, "files");
                self.ends(&fields, &mut rule);
            }
            Section::Process => {
                rule.targets = self.names(list, "act", Act::ALL.iter().map(|(_, name)| *name));
                rule.rights = Rights::PROCESS;
            }
            Section::Capabilities => {
                let known = Capability::ALL.iter().map(|(_, name)| *name);
                rule.targets = self.names(list, "capability", known);
                rule.rights = Rights::KERNEL;
            }
        }
        Some(rule)
    }

    /// A list of names of which every one is `known`, or `all`.
    fn names<'k>(
        &mut self,
        node: &Node,
        what: &str,
        known: impl Iterator<Item = &'k str>,
    ) -> Vec<Text> {
        let known: Vec<&str> = known.chain([ALL]).collect();
        let texts = self.strings(node, "the list of names");
        let (sound, odd): (Vec<_>, Vec<_>) =
            texts.into_iter().partition(|text| known.contains(&text.value.as_str()));
        for text in odd {
            let plain = text.value.to_lowercase();
            let plain = plain.strip_prefix("cap_").unwrap_or(&plain);
            let hint = match suggest(plain, known.iter().copied()) {
                _ if known.contains(&plain) => format!("write `{plain}`"),
                Some(hint) => hint,
                None => format!("the names here are {}", known.join(", ")),
            };
            self.error_hint(text.span, format!("unknown {what} `{}`", text.value), hint);
        }
        sound
    }

    /// The one verdict of a rule and the node under it.
    fn verdict<'n>(
        &mut self,
        fields: &Fields<'n>,
        key: &str,
    ) -> Option<(Spanned<RuleKind>, &'n Node)> {
        let mut found: Option<(Spanned<RuleKind>, &Node)> = None;
        for (name, span, node) in &fields.entries {
            let Some(kind) = RuleKind::ALL.into_iter().find(|kind| kind.name() == *name) else {
                continue;
            };
            if let Some((first, _)) = &found {
                let message = "a rule has one of `allow`, `audit`, `ask` and `deny`, this has two";
                self.diagnostics.push(
                    Diagnostic::error(*span, message)
                        .related(first.span, "the first")
                        .hint("make two rules of it"),
                );
            } else {
                found = Some((Spanned { value: kind, span: *span }, node));
            }
        }
        if found.is_none() {
            let hint = match key {
                "exec" => "for example `- allow: [\"/usr/bin/**\"]`",
                "devices" => "for example `- allow: [\"/dev/kvm\"]`",
                "network" => "for example `- allow: [connect]`",
                "process" => "for example `- allow: [signal]`",
                "capabilities" => "for example `- allow: [net_bind_service]`",
                _ => "for example `- allow: [read, list]`",
            };
            let message = "the rule says none of `allow`, `audit`, `ask` and `deny`";
            self.error_hint(fields.span, message, hint);
        }
        found
    }

    fn reason(&mut self, node: &Node) -> Option<String> {
        let text = self.string(node, "`reason`")?;
        if text.value.len() > REASON_MAX || text.value.chars().any(char::is_control) {
            let message = format!("a reason is one line of at most {REASON_MAX} bytes");
            self.error_hint(text.span, message, "it is shown with every violation; keep it short");
            return None;
        }
        Some(text.value)
    }

    fn rights(
        &mut self,
        node: &Node,
        known: &[Rights],
        others: &[Rights],
        section: &str,
    ) -> Rights {
        let mut all = Rights::NONE;
        for text in self.strings(node, "the list of rights") {
            let right = Rights::from_name(&text.value);
            match right {
                Some(right) if known.contains(&right) => {
                    if all.contains(right) {
                        self.error(text.span, format!("the right `{}` is here twice", text.value));
                    }
                    all |= right;
                }
                Some(right) if others.contains(&right) => {
                    let message = format!("`{}` is no right of this section", text.value);
                    let hint = format!("write the rule under `{section}`");
                    self.error_hint(text.span, message, hint);
                }
                _ => {
                    let names: Vec<&str> = known.iter().flat_map(|right| right.names()).collect();
                    let message = format!("unknown right `{}`", text.value);
                    let hint = suggest(&text.value, names.iter().copied())
                        .unwrap_or_else(|| format!("the rights here are {}", names.join(", ")));
                    self.error_hint(text.span, message, hint);
                }
            }
        }
        all
    }
}

/// Whether Kubernetes would take it as an object's name (RFC 1123 subdomain).
fn is_object_name(name: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label = |label: &str| {
        label.starts_with(alphanumeric)
            && label.ends_with(alphanumeric)
            && label.chars().all(|c| alphanumeric(c) || c == '-')
    };
    name.len() <= 253 && name.split('.').all(label)
}
