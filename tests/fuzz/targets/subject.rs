//! Subjects as people give them to `picket explain`: an error, or a subject that is read again from
//! how it is shown.

use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{KIND_ABSTRACT, KIND_INET};
use sensor_ebpf::table::Space;
use sensor_user::policy::Subject;

use super::policy::Machine;

/// The target. The first byte says whether it is a local address, and whether links are followed.
pub fn run(data: &[u8]) {
    let [how, given @ ..] = data else { return };
    let rights = if how & 1 == 0 { Rights::CONNECT } else { Rights::BIND };
    let host = (how & 2 != 0).then_some(&Machine);
    let subject = match Subject::parse(given, rights, host.map(|host| host as _)) {
        Ok(subject) => subject,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let shown = subject.to_string();
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
    // Sockets to be made and files without a name are shown in words.
    let has_form = match subject.space() {
        Space::Path => true,
        Space::Object => {
            matches!(subject.bytes().first(), Some(&(KIND_ABSTRACT | KIND_INET)))
        }
    };
    if has_form {
        let again = Subject::parse(shown.as_bytes(), rights, None);
        let again = again.unwrap_or_else(|error| panic!("{shown:?} is not read again: {error}"));
        assert_eq!(again.bytes(), subject.bytes(), "{shown:?}");
    }
}
