//! What a rule of `network` is about: peers, local addresses, kinds of sockets, as its rights demand.

use sensor_ebpf::rights::Rights;

use super::shape::{Fields, Reader};
use crate::policy::model::Rule;

/// What a rule of `network` is about, by the rights that it names.
struct End {
    key: &'static str,
    rights: Rights,
    of: &'static str,
    /// Where the key is missing.
    example: &'static str,
    /// Where another key is there.
    instead: &'static str,
}

const ENDS: &[End] = &[
    End {
        key: "to",
        rights: Rights(Rights::CONNECT.0 | Rights::SEND.0),
        of: "`connect` or `send`",
        example: "`to: [\"*\"]` means every address",
        instead: "write `to:` for the address of a peer",
    },
    End {
        key: "on",
        rights: Rights::BIND,
        of: "`bind`",
        example: "`on: [\"*\"]` means every address",
        instead: "write `on:` for the address that is bound",
    },
    End {
        key: "families",
        rights: Rights::SOCKET,
        of: "`socket`",
        example: "for example `families: [vsock, inet/raw, netlink/audit]`",
        instead: "write `families:` for the kind of socket that is made",
    },
];

impl Reader<'_> {
    /// `to`, `on` and `families`, which must fit the rights.
    pub(super) fn ends(&mut self, fields: &Fields<'_>, rule: &mut Rule) {
        for end in ENDS {
            let needed = rule.rights.intersects(end.rights);
            match (fields.get(end.key), needed) {
                (Some(node), true) => {
                    let list = self.strings(node, &format!("`{}`", end.key));
                    match end.key {
                        "to" => rule.targets = list,
                        "on" => rule.local = list,
                        _ => rule.families = list,
                    }
                }
                (Some(node), false) if !rule.rights.is_empty() => {
                    let message = format!(
                        "`{}` goes with {}, and the rule does not name it",
                        end.key, end.of
                    );
                    let right = ENDS.iter().find(|other| rule.rights.intersects(other.rights));
                    let hint = right.map_or(String::new(), |right| right.instead.to_owned());
                    self.error_hint(node.span, message, hint);
                }
                (None, true) => {
                    let message = format!("{} needs `{}`", end.of, end.key);
                    self.error_hint(rule.kind.span, message, end.example);
                }
                _ => {}
            }
        }
    }
}
