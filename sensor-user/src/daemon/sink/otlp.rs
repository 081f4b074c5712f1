//! OpenTelemetry logs: OTLP over HTTP with protobuf, to a collector. The messages are the official
//! ones (`opentelemetry-proto`); the queue and the counting are the same as every sink's, so that
//! what a collector does not take is counted exactly.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::super::hub::Record;
use super::shape::{priority, summary};
use super::{Sink, Taken};
use crate::kernel::object::VERSION;

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const ANSWER_MAX: usize = 64 << 10;

pub struct Otlp {
    endpoint: Uri,
    headers: BTreeMap<String, String>,
    runtime: Runtime,
}

/// Reads an endpoint.
pub fn endpoint(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|error| format!("`{text}` is no URL: {error}"))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http"), Some(_)) => Ok(uri),
        (Some("https"), Some(_)) => Err(format!(
            "`{text}` takes TLS, which this sink does not speak; send to a collector on this host"
        )),
        _ => Err(format!("`{text}` is no URL like http://127.0.0.1:4318/v1/logs")),
    }
}

/// Whether these can be in the head of a request.
pub fn check_headers(headers: &BTreeMap<String, String>) -> Result<(), String> {
    for (name, value) in headers {
        let fits = HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok();
        if !fits {
            return Err(format!("`{name}` and its value cannot be in the head of a request"));
        }
    }
    Ok(())
}

impl Otlp {
    /// To a collector.
    pub fn new(endpoint: Uri, headers: BTreeMap<String, String>) -> io::Result<Otlp> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Otlp { endpoint, headers, runtime })
    }

    async fn post(&self, body: Vec<u8>) -> io::Result<(StatusCode, Bytes)> {
        let host = self.endpoint.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = self.endpoint.port_u16().unwrap_or(80);
        let stream = TcpStream::connect((host, port)).await?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(io::Error::other)?;
        tokio::spawn(connection);
        let path = self.endpoint.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::post(path)
            .header("host", format!("{host}:{port}"))
            .header("content-type", "application/x-protobuf");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(io::Error::other)?;
        let answer = sender.send_request(request).await.map_err(io::Error::other)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
        Ok((status, body.map_err(io::Error::other)?.to_bytes()))
    }
}

impl Sink for Otlp {
    fn write(&mut self, records: &[Arc<Record>]) -> io::Result<Taken> {
        let body = request(records).encode_to_vec();
        let posted =
            self.runtime.block_on(async { tokio::time::timeout(PATIENCE, self.post(body)).await });
        let (status, answer) = posted.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let done = records.len();
        if status.is_success() {
            // An answer that cannot be read is a yes all the same: the status says so.
            let answer = ExportLogsServiceResponse::decode(answer).unwrap_or_default();
            let rejected = answer.partial_success.map_or(0, |part| part.rejected_log_records);
            return Ok(Taken { done, refused: usize::try_from(rejected).unwrap_or(0).min(done) });
        }
        // What OTLP says may be tried again; the rest will never be taken.
        match status.as_u16() {
            429 | 502 | 503 | 504 => {
                Err(io::Error::other(format!("the collector answers {status}")))
            }
            _ => Ok(Taken { done, refused: done }),
        }
    }
}

fn request(records: &[Arc<Record>]) -> ExportLogsServiceRequest {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let resource = Resource {
        attributes: vec![
            attribute("service.name", text("picket")),
            attribute("service.version", text(VERSION)),
            attribute("host.name", text(host.trim())),
        ],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: "picket".to_owned(),
        version: VERSION.to_owned(),
        ..InstrumentationScope::default()
    };
    let log_records = records.iter().map(|record| log_record(record)).collect();
    let scope_logs = ScopeLogs { scope: Some(scope), log_records, ..ScopeLogs::default() };
    let logs = ResourceLogs {
        resource: Some(resource),
        scope_logs: vec![scope_logs],
        ..ResourceLogs::default()
    };
    ExportLogsServiceRequest { resource_logs: vec![logs] }
}

/// A record: the text for people as the body, every field of the line as an attribute.
fn log_record(record: &Record) -> LogRecord {
    let (severity, name) = match priority(record) {
        0..=3 => (SeverityNumber::Error, "ERROR"),
        4 => (SeverityNumber::Warn, "WARN"),
        5 => (SeverityNumber::Info2, "INFO2"),
        _ => (SeverityNumber::Info, "INFO"),
    };
    let line: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&record.text).unwrap_or_default();
    let attributes =
        line.into_iter().map(|(name, value)| attribute(&format!("picket.{name}"), any(value)));
    LogRecord {
        time_unix_nano: nanoseconds(record.time),
        observed_time_unix_nano: nanoseconds(SystemTime::now()),
        severity_number: severity.into(),
        severity_text: name.to_owned(),
        body: Some(text(&summary(record))),
        attributes: attributes.collect(),
        event_name: format!("picket.{}", record.kind),
        ..LogRecord::default()
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn attribute(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn text(text: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.to_owned())) }
}

/// What is no number, text or truth goes as JSON.
fn any(value: serde_json::Value) -> AnyValue {
    match value {
        serde_json::Value::String(value) => text(&value),
        serde_json::Value::Bool(value) => AnyValue { value: Some(Value::BoolValue(value)) },
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => AnyValue { value: Some(Value::IntValue(number)) },
            None => text(&number.to_string()),
        },
        other => text(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsPartialSuccess;

    use super::super::tests::{notice, violation};
    use super::*;

    /// A collector that answers one request; what was sent.
    fn collector(status: &str, body: Vec<u8>) -> (Uri, thread::JoinHandle<(String, Vec<u8>)>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
        let answer = [head.into_bytes(), body].concat();
        let served = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = Vec::new();
            let mut byte = [0];
            while !bytes.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte).unwrap();
                bytes.push(byte[0]);
            }
            let head = String::from_utf8(bytes).unwrap().to_lowercase();
            let length = head.split("content-length: ").nth(1).unwrap();
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            stream.write_all(&answer).unwrap();
            (head, body)
        });
        (endpoint(&format!("http://{at}/v1/logs")).unwrap(), served)
    }

    #[test]
    fn a_collector_gets_records_with_their_fields() {
        let (at, served) = collector("200 OK", Vec::new());
        let headers = [("x-tenant".to_owned(), "a".to_owned())].into();
        let mut sink = Otlp::new(at, headers).unwrap();
        let taken = sink.write(&[violation(7), notice(8)]).unwrap();
        assert_eq!(taken, Taken { done: 2, refused: 0 });
        let (head, body) = served.join().unwrap();
        assert!(head.starts_with("post /v1/logs http/1.1\r\n"), "{head}");
        assert!(
            head.contains("x-tenant: a\r\n") && head.contains("application/x-protobuf"),
            "{head}"
        );
        let request = ExportLogsServiceRequest::decode(body.as_slice()).unwrap();
        let logs = &request.resource_logs[0].scope_logs[0].log_records;
        assert_eq!(logs.len(), 2);
        assert_eq!(logs[0].severity_number(), SeverityNumber::Warn);
        assert_eq!(logs[0].event_name, "picket.violation");
        let field = |name: &str| {
            logs[0].attributes.iter().find(|kv| kv.key == name).and_then(|kv| kv.value.clone())
        };
        assert_eq!(field("picket.subject"), Some(text("/secret")));
        assert_eq!(field("picket.seq"), Some(AnyValue { value: Some(Value::IntValue(7)) }));
        assert_eq!(field("picket.because"), Some(text("[\"read\"]")));
        assert_eq!(
            logs[0].body,
            Some(text("deny read /secret by cat[1] of coder (nothing allows it)"))
        );
    }

    #[test]
    fn what_is_refused_is_counted_and_what_may_be_taken_later_is_kept() {
        let part = ExportLogsPartialSuccess { rejected_log_records: 1, ..Default::default() };
        let answer = ExportLogsServiceResponse { partial_success: Some(part) }.encode_to_vec();
        for (status, body, expected) in [
            ("200 OK", answer, Some(Taken { done: 2, refused: 1 })),
            ("400 Bad Request", Vec::new(), Some(Taken { done: 2, refused: 2 })),
            ("503 Service Unavailable", Vec::new(), None),
        ] {
            let (at, served) = collector(status, body);
            let mut sink = Otlp::new(at, BTreeMap::new()).unwrap();
            assert_eq!(sink.write(&[violation(7), notice(8)]).ok(), expected, "{status}");
            served.join().unwrap();
        }
        let mut sink =
            Otlp::new(endpoint("http://127.0.0.1:1/").unwrap(), BTreeMap::new()).unwrap();
        assert!(sink.write(&[notice(1)]).is_err(), "nobody is there");
    }

    #[test]
    fn endpoints_are_checked() {
        assert!(endpoint("http://[::1]:4318/v1/logs").is_ok());
        assert!(endpoint("https://example.com/v1/logs").is_err_and(|error| error.contains("TLS")));
        assert!(endpoint("localhost:4318").is_err());
    }
}
