//! What was before this daemon: the number that its first record gets, and the records that the log of
//! the one before it still holds, so that whoever reads the stream goes on where it was.
//!
//! Numbers go on from the log's last line. Without a log a file beside the state says where: it is
//! written ahead by [`STEP`], so that no number is given twice after a crash either.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::hub::Record;
use crate::event::json::{Line, boot_id};

/// Numbers that are set aside at once.
const STEP: u64 = 1 << 16;

/// The number of the last record, and what is known of those before.
#[derive(Debug, Default)]
pub struct Past {
    last: u64,
    /// Numbers up to here were set aside.
    aside: u64,
    file: Option<PathBuf>,
    records: Vec<Record>,
    horizon: u64,
    /// Agent and number of the last violation in the log.
    written: Option<(String, u64)>,
}

impl Past {
    /// Nothing is known, and nothing is kept.
    #[cfg(test)]
    #[must_use]
    pub fn nothing() -> Past {
        Past { aside: u64::MAX, ..Past::default() }
    }

    /// Reads at most `limit` bytes of the log's end, and the number in the state directory. What
    /// cannot be read is as if it were not there.
    pub fn read(log: Option<&Path>, state: &Path, limit: u64) -> Past {
        let file = state.join("stream");
        let kept = fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok());
        let lines = log.map(|log| tail(log, limit)).unwrap_or_default();
        let mut past = Past { file: Some(file), ..Past::default() };
        for text in lines {
            let Ok(line) = Line::parse(&text) else { continue };
            // A line of the file alone, as of a gap, has no number.
            if line.head().n.is_none_or(|n| n <= past.last) {
                continue;
            }
            if let Line::Violation(v) = &line
                && v.head.boot == boot_id()
            {
                past.written = Some((v.of.agent_id.to_string(), v.seq));
            }
            let record = Record::of(&line, text);
            past.last = record.n;
            past.records.push(record);
        }
        past.horizon = past.records.first().map_or(0, |record| record.n - 1);
        if let Some(kept) = kept.filter(|kept| *kept > past.last) {
            past.last = kept;
            if past.records.is_empty() {
                past.horizon = kept;
            }
        }
        past.aside = past.last;
        past
    }

    /// Number of the last record before this daemon.
    #[must_use]
    pub fn before(&self) -> u64 {
        self.last
    }

    /// Number of the last record that is known no more.
    #[must_use]
    pub fn horizon(&self) -> u64 {
        self.horizon
    }

    /// The records, once.
    pub fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// Agent and number of the last violation in the log, of this run of the kernel; once. It may be in
    /// the ring still, if the daemon was killed between the one and the other.
    pub fn take_written(&mut self) -> Option<(String, u64)> {
        self.written.take()
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.last += 1;
        if self.last > self.aside {
            self.aside = self.last + STEP;
            self.write(self.aside);
        }
        self.last
    }

    /// Keeps the last number, where no more will be given.
    pub fn keep(&mut self) {
        self.write(self.last);
        self.aside = self.last;
    }

    /// Numbers are a convenience of readers: where they cannot be kept, the stream goes on.
    fn write(&self, number: u64) {
        let Some(file) = &self.file else { return };
        let temporary = file.with_extension("new");
        let _ =
            fs::write(&temporary, number.to_string()).and_then(|()| fs::rename(&temporary, file));
    }
}

/// Whole lines from the end of a log and of the one put aside before it, with their newlines.
fn tail(log: &Path, limit: u64) -> Vec<String> {
    let mut aside = log.as_os_str().to_owned();
    aside.push(".1");
    let mut lines = VecDeque::new();
    let rest = limit.saturating_sub(fs::metadata(log).map_or(0, |found| found.len()));
    if rest > 0 {
        let _ = read_end(Path::new(&aside), rest, &mut lines);
    }
    let _ = read_end(log, limit, &mut lines);
    lines.into()
}

fn read_end(at: &Path, limit: u64, lines: &mut VecDeque<String>) -> io::Result<()> {
    let mut file = File::open(at)?;
    let len = file.metadata()?.len();
    let skip = len.saturating_sub(limit);
    file.seek(SeekFrom::Start(skip))?;
    let mut reader = BufReader::new(file.take(len - skip));
    let mut line = Vec::new();
    if skip > 0 {
        // Most of a line, or a whole one: not worth finding out.
        reader.read_until(b'\n', &mut line)?;
    }
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if let Ok(text) = std::str::from_utf8(&line)
            && text.ends_with('\n')
        {
            lines.push_back(text.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: u64) -> String {
        let mut line = Line::notice("test", None, None);
        line.number(n);
        line.text()
    }

    #[test]
    fn numbers_go_on_and_the_log_comes_back() {
        let dir = std::env::temp_dir().join(format!("picket-past-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let log = dir.join("events.jsonl");
        // Nothing there: from 1, and never again below, whatever happens.
        let mut past = Past::read(Some(&log), &dir, 1 << 20);
        assert_eq!(past.next(), 1);
        let mut past = Past::read(Some(&log), &dir, 1 << 20);
        assert_eq!(past.next(), 1 + STEP + 1);
        past.keep();
        assert_eq!(Past::read(None, &dir, 1 << 20).next(), 1 + STEP + 2);
        fs::remove_file(dir.join("stream")).unwrap();

        fs::write(dir.join("events.jsonl.1"), [line(5), line(6)].concat()).unwrap();
        let damage = "{\"v\":1,\"type\":\"notice\",\"what\":\n";
        fs::write(&log, [line(7), damage.to_owned(), line(9), "{\"v\":1".to_owned()].concat())
            .unwrap();
        let mut past = Past::read(Some(&log), &dir, 1 << 20);
        let records = past.take_records();
        assert_eq!(records.iter().map(|record| record.n).collect::<Vec<_>>(), [5, 6, 7, 9]);
        assert_eq!(records[0].text, line_text(&records[0].text));
        assert_eq!((past.horizon(), past.next()), (4, 10));
        // Only as much as there is room for.
        let mut past = Past::read(Some(&log), &dir, line(9).len() as u64 * 2);
        assert_eq!(past.take_records().len(), 1);
        assert_eq!(past.horizon(), 8);
        fs::remove_dir_all(&dir).unwrap();
    }

    fn line_text(text: &str) -> String {
        Line::parse(text).unwrap().text()
    }
}
