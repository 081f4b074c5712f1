//! What to say beside a verdict: why there is no rule, and what would allow the operation.

use std::net::Ipv6Addr;

use sensor_ebpf::act::Act;
use sensor_ebpf::capability::Capability;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{
    INET_LEN, KIND_ABSTRACT, KIND_CAPABILITY, KIND_FAMILY, KIND_INET, KIND_PROCESS, TRANSPORT_ICMP,
    TRANSPORT_TCP, TRANSPORT_UDP,
};
use sensor_ebpf::table::Space;
use sensor_ebpf::verdict::Verdict;

use crate::family;
use crate::policy::{Compiled, Judged, Subject};

/// Why the verdict is what it is, where the rule alone does not say it.
pub fn note(
    compiled: &Compiled,
    judged: &Judged,
    subject: &Subject,
    deciding: Rights,
) -> Option<String> {
    let Judged { decision, masks, .. } = judged;
    let implied = deciding.contains(Rights::MAP)
        && !masks.allow.contains(Rights::MAP)
        && masks.granted().contains(Rights::MAP);
    match decision.verdict {
        Verdict::Allow if implied => {
            Some("what may be read and not changed may also be mapped".to_owned())
        }
        Verdict::Audit if compiled.audit && !masks.audit.intersects(deciding) => {
            Some("the policy only reports: it would otherwise be refused".to_owned())
        }
        Verdict::Deny if !masks.deny.intersects(decision.because) => {
            let map = decision.because.contains(Rights::MAP) && masks.allow.contains(Rights::READ);
            let unix = deciding.intersects(Rights::CONNECT | Rights::SEND)
                && !matches!(subject.bytes(), [KIND_INET, ..]);
            Some(if unix {
                "no rule allows it; a server that the agent itself makes needs none".to_owned()
            } else if map {
                "what may be changed may be mapped as code only by an explicit `map`".to_owned()
            } else {
                "no rule allows it, and what nothing allows is denied".to_owned()
            })
        }
        _ => None,
    }
}

/// What would have to be added or removed to allow it; `None` if it is allowed.
pub fn to_allow(compiled: &Compiled, judged: &Judged, subject: &Subject) -> Option<String> {
    let decision = judged.decision;
    if decision.verdict <= Verdict::Audit {
        return None;
    }
    let mut steps = Vec::new();
    let stopped = decision.because.and(judged.masks.deny.or(judged.masks.ask));
    let mut named = Vec::new();
    for right in super::each(stopped) {
        let id = judged.rule(right);
        let Some(rule) = compiled.rule(id).filter(|_| !named.contains(&id)) else {
            continue;
        };
        named.push(id);
        let (kind, place) = (rule.kind.name(), format!("{}:{}", rule.file, rule.line));
        steps.push(format!("narrow the {kind} at {place}: no other rule outweighs it"));
    }
    let given = judged.masks.allow.or(judged.masks.ask);
    let missing = match decision.because.contains(Rights::MAP) {
        // It may be implied, or not, by what else is given: `granted` knows.
        true => decision.because.minus(judged.masks.granted()),
        false => decision.because.minus(given),
    };
    if !missing.is_empty() {
        let addition = addition(missing, subject)?;
        steps.push(match steps.is_empty() {
            true => addition,
            // A deny hides the rules that it outweighs.
            false => format!("and, unless another rule allows it then, {addition}"),
        });
    }
    Some(steps.join("\n"))
}

/// A rule that gives `missing` on exactly the subject.
fn addition(missing: Rights, subject: &Subject) -> Option<String> {
    let list = |rights: Rights| rights.names().collect::<Vec<_>>().join(", ");
    let network = missing.and(Rights::CONNECT | Rights::SEND | Rights::BIND);
    match (subject.space(), subject.bytes()) {
        (Space::Path, path) if !network.is_empty() => Some(format!(
            "add under network:\n- allow: [{}]\n  to: [{}]",
            list(network),
            quoted(&format!("unix:{}", literal(path)))
        )),
        (Space::Path, path) if missing == Rights::EXEC => {
            Some(format!("add under exec:\n- allow: [{}]", quoted(&literal(path))))
        }
        (Space::Path, path) if missing == Rights::DEVICE => {
            Some(format!("add under devices:\n- allow: [{}]", quoted(&literal(path))))
        }
        (Space::Path, _) if missing.contains(Rights::DEVICE) => {
            let (device, files) =
                (addition(Rights::DEVICE, subject)?, missing.minus(Rights::DEVICE));
            Some(format!("{device}\nand {}", addition(files, subject)?))
        }
        (Space::Path, path) => Some(format!(
            "add under files:\n- allow: [{}]\n  paths: [{}]",
            list(missing),
            quoted(&literal(path))
        )),
        (Space::Object, [KIND_ABSTRACT, name @ ..]) => {
            Some(peer(missing, &format!("unix:@{}", literal(name))))
        }
        (Space::Object, bytes @ [KIND_INET, ..]) => address(bytes).map(|text| peer(missing, &text)),
        (Space::Object, [KIND_PROCESS, act, ..]) => {
            let name = Act(*act).name()?;
            Some(format!("add under process:\n- allow: [{name}]"))
        }
        (Space::Object, [KIND_CAPABILITY, number]) => {
            let name = Capability(*number).name()?;
            Some(format!("add under capabilities:\n- allow: [{name}]"))
        }
        (Space::Object, [KIND_FAMILY, f0, f1, kind, p0, p1]) => {
            let of = |high: &u8, low: &u8| u16::from_be_bytes([*high, *low]);
            let sockets = family::Shown(of(f0, f1), *kind, of(p0, p1));
            Some(format!("add under network:\n- allow: [socket]\n  families: ['{sockets}']"))
        }
        _ => Some("nothing: a policy cannot name it".to_owned()),
    }
}

fn peer(missing: Rights, text: &str) -> String {
    let rights = missing.names().collect::<Vec<_>>().join(", ");
    let end = if missing == Rights::BIND { "on" } else { "to" };
    format!("add under network:\n- allow: [{rights}]\n  {end}: [{}]", quoted(text))
}

/// The address of a subject as a policy writes it.
fn address(bytes: &[u8]) -> Option<String> {
    let bytes: &[u8; INET_LEN] = bytes.try_into().ok()?;
    let [_, transport, address @ .., high, low] = *bytes;
    let address = Ipv6Addr::from(address);
    let host = match address.to_ipv4_mapped() {
        Some(v4) => v4.to_string(),
        None => format!("[{address}]"),
    };
    let port = u16::from_be_bytes([high, low]);
    match transport {
        TRANSPORT_TCP => Some(format!("tcp:{host}:{port}")),
        TRANSPORT_UDP => Some(format!("udp:{host}:{port}")),
        TRANSPORT_ICMP => Some(format!("icmp:{host}")),
        _ => None,
    }
}

/// A pattern that matches these bytes and nothing else.
fn literal(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '*' | '?' | '[' | ']' | '{' | '}' | ',' | '\\' | '$' => out.extend(['\\', c]),
                c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// A YAML string; single quotes leave backslashes alone.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
