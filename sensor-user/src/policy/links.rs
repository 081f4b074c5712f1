//! Symbolic links in patterns. The kernel side knows canonical paths only, so a pattern whose
//! beginning leads through a link must also be written with the link's target, or it never matches.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::host::Host;

/// Most links on one way, as in the kernel (`MAXSYMLINKS`).
const LINKS_MAX: usize = 40;

/// Where the components of an absolute path lead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// The components with links replaced.
    pub components: Vec<Vec<u8>>,
    /// A link that was not followed, because somebody other than root could change it.
    pub distrusted: Option<PathBuf>,
}

/// Follows links in `components`: every one if `all`, else only those that nobody but root can
/// change. Otherwise an agent could plant a link in its workspace and be given the link's target
/// when the policy is next compiled.
pub(super) fn follow(host: &dyn Host, components: &[Vec<u8>], all: bool) -> Way {
    let mut way = Way { components: Vec::new(), distrusted: None };
    let mut left: Vec<Vec<u8>> = components.iter().rev().cloned().collect();
    let mut followed = 0;
    while let Some(component) = left.pop() {
        match component.as_slice() {
            b"" | b"." => continue,
            b".." => {
                way.components.pop();
                continue;
            }
            _ => way.components.push(component),
        }
        if is_own_process(&way.components) {
            continue;
        }
        let path = path(&way.components);
        let Some(link) = host.read_link(&path) else {
            continue;
        };
        if !(all || link.trusted) {
            way.distrusted.get_or_insert(path);
            continue;
        }
        followed += 1;
        if followed > LINKS_MAX {
            // The kernel refuses such a path, so nothing is reached by it.
            return Way { components: components.to_vec(), distrusted: None };
        }
        let target = link.target.into_os_string().into_vec();
        if target.starts_with(b"/") {
            way.components.clear();
        } else {
            way.components.pop();
        }
        left.extend(target.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec));
    }
    way
}

/// The links of a process's own entry mean another thing for each process, and subjects name the
/// entry itself: `/proc/self`.
fn is_own_process(components: &[Vec<u8>]) -> bool {
    let number = |name: &[u8]| name.iter().all(u8::is_ascii_digit);
    match components {
        [proc, entry, ..] if proc == b"proc" => {
            entry == b"self" || entry == b"thread-self" || number(entry)
        }
        _ => false,
    }
}

fn path(components: &[Vec<u8>]) -> PathBuf {
    let mut path = PathBuf::from("/");
    path.extend(components.iter().map(|name| OsStr::from_bytes(name)));
    path
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io;
    use std::path::Path;

    use super::super::host::Link;
    use super::*;

    struct Links(HashMap<&'static str, (&'static str, bool)>);

    impl Host for Links {
        fn read_link(&self, path: &Path) -> Option<Link> {
            let (target, trusted) = self.0.get(path.to_str()?)?;
            Some(Link { target: PathBuf::from(target), trusted: *trusted })
        }

        fn read_file(&self, _: &Path) -> io::Result<String> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    fn leads(
        links: &[(&'static str, &'static str, bool)],
        from: &str,
        all: bool,
    ) -> (String, bool) {
        let links = Links(links.iter().map(|(at, to, ok)| (*at, (*to, *ok))).collect());
        let from: Vec<Vec<u8>> = from[1..].split('/').map(|c| c.as_bytes().to_vec()).collect();
        let way = follow(&links, &from, all);
        let to = path(&way.components).to_str().unwrap().to_owned();
        (to, way.distrusted.is_some())
    }

    #[test]
    fn links_lead_where_the_kernel_would_go() {
        let links = [
            ("/bin", "usr/bin", true),
            ("/usr/bin/sh", "dash", true),
            ("/var/run", "/run", true),
            ("/a", "b", true),
            ("/b", "/a", true),
            ("/proc/self", "123", true),
            ("/proc/mounts", "self/mounts", true),
            ("/dev/fd", "/proc/self/fd", true),
            ("/up", "usr/lib/../bin/sh", true),
        ];
        let to = |from| leads(&links, from, false).0;
        assert_eq!(to("/bin/sh"), "/usr/bin/dash");
        assert_eq!(to("/var/run/docker.sock"), "/run/docker.sock");
        assert_eq!(to("/a/x"), "/a/x");
        assert_eq!(to("/proc/self/maps"), "/proc/self/maps");
        assert_eq!(to("/proc/mounts"), "/proc/self/mounts");
        assert_eq!(to("/dev/fd/3"), "/proc/self/fd/3");
        assert_eq!(to("/up"), "/usr/bin/dash");
    }

    #[test]
    fn only_a_deny_follows_what_others_could_change() {
        let links = [("/w/l", "/etc", false)];
        assert_eq!(leads(&links, "/w/l/shadow", false), ("/w/l/shadow".into(), true));
        assert_eq!(leads(&links, "/w/l/shadow", true), ("/etc/shadow".into(), false));
    }
}
