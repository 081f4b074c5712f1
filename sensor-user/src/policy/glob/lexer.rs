//! The pieces of a pattern: escapes, variables and wildcards, each with its place.

use super::class;
use super::{Error, Lexeme, Token, Variables};

/// Splits `text` into its pieces; all that is wrong at once.
pub(super) fn lex(text: &str, variables: &Variables) -> Result<Vec<Lexeme>, Vec<Error>> {
    let mut lexer = Lexer { text, at: 0, out: Vec::new() };
    let mut errors = Vec::new();
    while lexer.at < text.len() {
        let start = lexer.at;
        if let Err(error) = lexer.piece(variables) {
            // Go on behind what is wrong, to find all that is.
            lexer.at = error.end.max(start + 1);
            while !text.is_char_boundary(lexer.at) {
                lexer.at += 1;
            }
            errors.push(error);
        }
    }
    if errors.is_empty() { Ok(lexer.out) } else { Err(errors) }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    out: Vec<Lexeme>,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn push(&mut self, token: Token, start: usize) {
        self.out.push(Lexeme { token, start, end: self.at });
    }

    fn char(&mut self, c: char, start: usize) {
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            self.push(Token::Byte(byte), start);
        }
    }

    /// Takes at least one character, or says what is wrong with it.
    fn piece(&mut self, variables: &Variables) -> Result<(), Error> {
        let start = self.at;
        let Some(first) = self.rest().chars().next() else {
            return Ok(());
        };
        if self.rest().starts_with("${") {
            return self.variable(variables);
        }
        if first == '\\' {
            let (literal, length) = unescape(self.rest(), start)?;
            self.at += length;
            match literal {
                Literal::Byte(byte) => self.push(Token::Byte(byte), start),
                Literal::Char(c) => self.char(c, start),
            }
            return Ok(());
        }
        if first == '[' {
            let (set, length) = class::parse(self.rest(), start)?;
            self.at += length;
            self.push(Token::Char(set), start);
            return Ok(());
        }
        self.at += first.len_utf8();
        match first {
            '/' => self.push(Token::Slash, start),
            '*' => return self.stars(start),
            '?' => self.push(Token::Char(class::any()), start),
            '{' => self.push(Token::Open, start),
            ',' => self.push(Token::Comma, start),
            '}' => self.push(Token::Close, start),
            '\0' => return Err(Error::new(start..self.at, "no name has a NUL in it")),
            other => self.char(other, start),
        }
        Ok(())
    }

    fn stars(&mut self, start: usize) -> Result<(), Error> {
        while self.rest().starts_with('*') {
            self.at += 1;
        }
        let token = match self.at - start {
            1 => Token::Star,
            2 => Token::StarStar,
            _ => {
                let message = "more than two `*` in a row";
                return Err(Error::new(start..self.at, message)
                    .hint("`*` is any part of one name, `**` any number of directories"));
            }
        };
        self.push(token, start);
        Ok(())
    }

    fn variable(&mut self, variables: &Variables) -> Result<(), Error> {
        let start = self.at;
        let Some(length) = self.rest().find('}') else {
            return Err(Error::new(start..self.text.len(), "`${` without a `}` after it")
                .hint("write `\\$` for the character itself"));
        };
        let end = start + length + 1;
        let name = self.text.get(start + 2..end - 1).unwrap_or_default();
        let value = variables
            .resolve(name)
            .map_err(|(message, hint)| Error::new(start..end, message).hint(hint))?;
        self.at = end;
        // Of a directory that is given with its slash, before a slash: one of them is enough.
        let value = match self.rest().strip_prefix('/') {
            Some(_) => value.strip_suffix('/').unwrap_or(value),
            None => value,
        };
        if value.contains('\0') {
            let message = format!("the value of `{name}` has a NUL in it, as no name has");
            return Err(Error::new(start..end, message));
        }
        for byte in value.bytes() {
            let token = if byte == b'/' { Token::Slash } else { Token::Byte(byte) };
            self.push(token, start);
        }
        Ok(())
    }
}

/// What an escape stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Literal {
    Byte(u8),
    Char(char),
}

/// Reads the escape that `text` begins with, at byte `start` of the pattern; gives its length too.
pub(super) fn unescape(text: &str, start: usize) -> Result<(Literal, usize), Error> {
    let error = |length: usize, message: &str| Error::new(start..start + length, message);
    match text.chars().nth(1) {
        None => {
            Err(error(1, "the pattern ends inside an escape").hint("write `\\\\` for a backslash"))
        }
        Some('x') => {
            let digits = text.get(2..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
            match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                Some(0 | b'/') => Err(error(4, "no name has a `/` or NUL in it")),
                Some(byte) => Ok((Literal::Byte(byte), 4)),
                None => Err(error(2, "`\\x` needs two hexadecimal digits")
                    .hint("write `\\\\x` for a backslash and an x")),
            }
        }
        Some('/' | '\0') => Err(error(2, "no name has a `/` or NUL in it")),
        Some(other) => Ok((Literal::Char(other), 1 + other.len_utf8())),
    }
}
