//! Variables: names and values that stand in patterns as `${name}`. Values are literal text.

use std::collections::BTreeMap;

use super::glob::Error;
use super::suggest::suggest;

/// Names and their values. `home`, `uid`, `user` and `workspace` are given by whoever runs the
/// agent; others come from `--var NAME=VALUE`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables(pub BTreeMap<String, String>);

impl Variables {
    /// Gives `name` a value, in place of the one that it had.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// Whether a policy could name it: letters, digits, `_` and `-`, beginning with a letter.
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    }

    /// `text` with every `${name}` replaced by its value.
    pub(super) fn substitute(&self, text: &str) -> Result<String, Error> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let start = text.len() - rest.len() + at;
            let end = rest[at..].find('}').map(|length| start + length + 1);
            let name = &text[start + 2..end.map_or(text.len(), |end| end - 1)];
            let error = |message: String, hint: String| Error {
                start,
                end: end.unwrap_or(text.len()),
                message,
                hint: Some(hint),
            };
            let Some(end) = end else {
                let hint = "close it: `${name}`".to_owned();
                return Err(error("`${` without a `}` after it".to_owned(), hint));
            };
            out.push_str(&rest[..at]);
            out.push_str(self.resolve(name).map_err(|(message, hint)| error(message, hint))?);
            rest = &text[end..];
        }
        out.push_str(rest);
        Ok(out)
    }

    /// The value; or what is wrong and what would put it right.
    pub(super) fn resolve(&self, name: &str) -> Result<&str, (String, String)> {
        if !Variables::is_name(name) {
            let hint = "a name begins with a letter and goes on with letters, digits, `_` and `-`; \
                        write `\\$` for the character itself";
            return Err((format!("`{name}` is no name for a variable"), hint.to_owned()));
        }
        match self.0.get(name) {
            Some(value) if !value.is_empty() => Ok(value),
            Some(_) => Err((
                format!("the variable `{name}` is empty"),
                format!("give it a value with `--var {name}=VALUE`"),
            )),
            None => {
                let hint = suggest(name, self.0.keys().map(String::as_str))
                    .unwrap_or_else(|| format!("give it a value with `--var {name}=VALUE`"));
                Err((format!("the variable `{name}` has no value"), hint))
            }
        }
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Variables {
        let pairs = pairs.into_iter();
        Variables(pairs.map(|(n, v)| (n.into(), v.into())).collect())
    }
}
