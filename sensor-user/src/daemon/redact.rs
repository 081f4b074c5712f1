//! Secrets in arguments: found by patterns of the configuration, and replaced before anything is
//! written or shown.

use regex_lite::Regex;

/// What stands in a secret's place.
pub const REDACTED: &str = "[redacted]";

/// What is redacted unless the configuration says otherwise.
pub const DEFAULT: &[&str] = &[
    "--*token=*",
    "--*token *",
    "--*secret=*",
    "--*secret *",
    "--*password=*",
    "--*password *",
    "--*passwd=*",
    "--*api-key=*",
    "--*api-key *",
    "*_KEY=*",
    "*_TOKEN=*",
    "*_SECRET=*",
    "*_PASSWORD=*",
    "*Authorization:*",
    "*X-Api-Key:*",
    "*Cookie:*",
    "*://*:<secret>@*",
];

/// Marks the secret in a pattern where it is not what the last `*` stands for.
const MARK: &str = "<secret>";

/// Patterns, ready for use.
#[derive(Clone, Debug, Default)]
pub struct Redact(Vec<Pattern>);

#[derive(Clone, Debug)]
struct Pattern {
    /// With the secret as its second group, between what is before and what is behind it.
    regex: Regex,
    /// The secret is all of the argument behind the one that matches.
    next: bool,
}

impl Redact {
    /// Reads patterns.
    ///
    /// # Errors
    /// What is wrong with one.
    pub fn new(patterns: &[String]) -> Result<Redact, String> {
        patterns.iter().map(|pattern| Pattern::new(pattern)).collect::<Result<_, _>>().map(Redact)
    }

    /// Replaces the secrets of a command line.
    pub fn apply(&self, argv: &mut [String]) {
        for pattern in &self.0 {
            for number in 0..argv.len() {
                if pattern.next {
                    if pattern.regex.is_match(&argv[number])
                        && let Some(secret) = argv.get_mut(number + 1)
                    {
                        REDACTED.clone_into(secret);
                    }
                } else if let Some(found) = pattern.regex.captures(&argv[number])
                    && found.get(2).is_some_and(|secret| !secret.is_empty())
                {
                    argv[number] = format!("{}{REDACTED}{}", &found[1], &found[3]);
                }
            }
        }
    }
}

impl Pattern {
    fn new(pattern: &str) -> Result<Pattern, String> {
        if let Some(before) = pattern.strip_suffix(" *") {
            let regex = regex(&format!("^{}$", any(before)))?;
            return Ok(Pattern { regex, next: true });
        }
        let split = match pattern.split_once(MARK) {
            Some((_, behind)) if behind.contains(MARK) => {
                return Err(format!("`{pattern}` has `{MARK}` in it twice"));
            }
            Some(split) => Some(split),
            None => pattern.rsplit_once('*'),
        };
        let Some((before, behind)) = split else {
            let how = format!("put `*` or `{MARK}` where the secret is");
            return Err(format!("`{pattern}` does not say what of it is secret; {how}"));
        };
        // As little as can be before the secret, and as much as can be in it.
        let regex = regex(&format!("^({})(.*)({})$", any(before), any(behind)))?;
        Ok(Pattern { regex, next: false })
    }
}

/// A piece of a pattern as a regular expression.
fn any(piece: &str) -> String {
    piece.split('*').map(regex_lite::escape).collect::<Vec<_>>().join(".*?")
}

fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(&format!("(?is){text}")).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(patterns: &[&str], argv: &[&str]) -> Vec<String> {
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        let mut argv: Vec<String> = argv.iter().map(ToString::to_string).collect();
        Redact::new(&patterns).unwrap().apply(&mut argv);
        argv
    }

    #[test]
    fn secrets_are_replaced_and_everything_else_stays() {
        for (argv, expected) in [
            (vec!["curl", "--token=abc", "x"], vec!["curl", "--token=[redacted]", "x"]),
            (vec!["x", "--auth-token", "abc", "y"], vec!["x", "--auth-token", "[redacted]", "y"]),
            (vec!["x", "--Password", "a b"], vec!["x", "--Password", "[redacted]"]),
            (vec!["x", "--password"], vec!["x", "--password"]),
            (
                vec!["env", "AWS_SECRET_ACCESS_KEY=ab=c\nd", "sh"],
                vec!["env", "AWS_SECRET_ACCESS_KEY=[redacted]", "sh"],
            ),
            (
                vec!["sh", "-c", "export API_KEY=abc; curl x"],
                vec!["sh", "-c", "export API_KEY=[redacted]"],
            ),
            (
                vec!["curl", "-H", "authorization: Bearer abc"],
                vec!["curl", "-H", "authorization:[redacted]"],
            ),
            (
                vec!["git", "clone", "https://me:p@ss:w@example.com/r.git"],
                vec!["git", "clone", "https://me:[redacted]@example.com/r.git"],
            ),
            (
                vec!["cat", "tokens.txt", "--token-file", "MONKEY=1", "https://example.com:8080/x"],
                vec!["cat", "tokens.txt", "--token-file", "MONKEY=1", "https://example.com:8080/x"],
            ),
        ] {
            assert_eq!(redacted(DEFAULT, &argv), expected);
        }
    }

    #[test]
    fn a_pattern_says_which_part_is_secret() {
        assert_eq!(redacted(&["-p<secret>"], &["mysql", "-pabc"]), ["mysql", "-p[redacted]"]);
        assert_eq!(redacted(&["<secret>:*"], &["a:b:c"]), ["[redacted]:c"]);
        assert_eq!(redacted(&["a.c*"], &["abcd", "a.cd"]), ["abcd", "a.c[redacted]"]);
        assert!(Redact::new(&["--token".to_owned()]).is_err_and(|e| e.contains("<secret>")));
        assert!(Redact::new(&["<secret><secret>".to_owned()]).is_err());
    }
}
