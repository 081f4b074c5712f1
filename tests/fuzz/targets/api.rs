//! Requests to the control API: whatever bytes come, one answer or none, of bounded length, and JSON
//! where it has a body. And lines of the stream, as `picket tail` reads them.

use sensor_user::daemon::rehearse::rehearse;
use sensor_user::event::json::Line;

/// Bytes that an answer may be longer than what was asked: an echo, escaped, and a head.
const MORE: usize = 4096;

/// The target.
pub fn run(data: &[u8]) {
    let answer = rehearse(data).expect("there is a runtime");
    assert!(answer.len() <= 8 * data.len() + MORE, "{} bytes", answer.len());
    if !answer.is_empty() {
        let text = String::from_utf8_lossy(&answer);
        let (head, body) = text.split_once("\r\n\r\n").expect("a head that ends");
        // Of the version that was spoken.
        assert!(head.starts_with("HTTP/1."), "{head}");
        if head.contains("application/json") && !body.is_empty() {
            let body: Result<serde_json::Value, _> = serde_json::from_str(body);
            assert!(body.is_ok(), "{text}");
        }
    }
    if let Ok(Ok(line)) = std::str::from_utf8(data).map(Line::parse) {
        assert_eq!(Line::parse(&line.text()).ok(), Some(line), "a line is read as it is written");
    }
}
