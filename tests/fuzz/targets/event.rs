//! Event records: an error, or an event whose lines are lines, whatever is in its names.

use std::time::SystemTime;

use sensor_user::event::decode::decode;
use sensor_user::event::json::{Line, Process};
use sensor_user::event::{Context, human};

/// The target.
pub fn run(data: &[u8]) {
    let event = match decode(data) {
        Ok(event) => event,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let context =
        Context { agent: "agent", owner: None, policy: "policy", version: "0", rule: None };
    let line = human::line(&event, context.clone());
    assert!(!without_styles(&line).chars().any(char::is_control), "{line:?}");
    let json = serde_json::to_string(&Line::violation(
        &event,
        context,
        SystemTime::UNIX_EPOCH,
        Process::default(),
    ));
    let json = json.expect("an event is JSON");
    assert!(!json.contains('\n'), "{json}");
    let value: Result<serde_json::Value, _> = serde_json::from_str(&json);
    assert!(value.is_ok_and(|value| value.is_object()), "{json}");
}

/// The line without the colours that it is written in. What a name has in it looks like none of them.
fn without_styles(line: &str) -> String {
    let mut pieces = line.split('\x1b');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let style = piece.strip_prefix('[').map(|style| style.trim_start_matches(is_of_style));
        let rest = style.and_then(|style| style.strip_prefix('m'));
        plain.push_str(rest.unwrap_or_else(|| panic!("{line:?}")));
    }
    plain
}

fn is_of_style(c: char) -> bool {
    c.is_ascii_digit() || c == ';'
}
