//! Globs: from the text of a pattern to sequences of elements. Braces become several sequences;
//! variables become literal bytes. Says precisely what is wrong with a pattern and where in it.
//!
//! | written | matches |
//! |---|---|
//! | `*` | any number of bytes within a component |
//! | `**` | as a whole component: any number of components; `dir/**` is `dir` and all below it |
//! | `?` | one character, or one byte that is not ASCII (names need not be UTF-8) |
//! | `[a-z]` `[!a-z]` | one character of the set, or one that is not in it |
//! | `{a,b}` | either |
//! | `\c` `\x7f` | the character or byte itself |
//! | `${name}` | the variable's value, literally |
//!
//! No wildcard but `**` matches `/`, and none matches NUL. Names that begin with a dot are like
//! others: a fence that overlooks hidden files is none.

mod class;
mod lexer;

use super::automaton::{ByteSet, CharSet, Elem};
use super::variables::Variables;

/// Most alternatives that the braces of one pattern may make.
const ALTERNATIVES_MAX: usize = 256;

/// What is wrong with a pattern, at which of its bytes, and what would put it right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Error {
    pub start: usize,
    pub end: usize,
    pub message: String,
    pub hint: Option<String>,
}

impl Error {
    fn new(at: std::ops::Range<usize>, message: impl Into<String>) -> Error {
        Error { start: at.start, end: at.end, message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }
}

/// One alternative of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    /// Whether it begins with `**` and goes on.
    pub floating: bool,
    /// What it matches.
    pub elems: Vec<Elem>,
    /// Components before the first wildcard; of a pattern that is no path, none.
    pub literal: Vec<Vec<u8>>,
    /// What follows those components, with its leading slash.
    pub rest: Vec<Elem>,
}

/// What a pattern is held against.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Names {
    /// Canonical paths.
    Paths,
    /// Names of abstract sockets: any bytes, `/` only by custom.
    Abstract,
}

/// A piece of a pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Token {
    Byte(u8),
    Slash,
    Star,
    StarStar,
    Char(CharSet),
    Open,
    Comma,
    Close,
}

/// A token and its bytes in the pattern's text.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Lexeme {
    token: Token,
    start: usize,
    end: usize,
}

/// Parses `text` into its alternatives.
pub(super) fn parse(
    text: &str,
    names: Names,
    variables: &Variables,
) -> Result<Vec<Glob>, Vec<Error>> {
    let lexemes = lexer::lex(text, variables)?;
    let alternatives = expand(&lexemes).map_err(|error| vec![error])?;
    let mut globs = Vec::new();
    let mut errors = Vec::new();
    for alternative in alternatives {
        match glob(&alternative, names, text.len()) {
            Ok(glob) => globs.push(glob),
            Err(error) => errors.push(error),
        }
    }
    errors.dedup();
    if errors.is_empty() { Ok(globs) } else { Err(errors) }
}

/// Takes the braces out: one sequence per choice of alternatives.
fn expand(lexemes: &[Lexeme]) -> Result<Vec<Vec<Lexeme>>, Error> {
    let mut cursor = 0;
    let all = sequence(lexemes, &mut cursor, None)?;
    Ok(all)
}

/// Reads up to the end, or to the comma or brace that ends an alternative opened at `open`.
fn sequence(
    lexemes: &[Lexeme],
    cursor: &mut usize,
    open: Option<usize>,
) -> Result<Vec<Vec<Lexeme>>, Error> {
    let mut all: Vec<Vec<Lexeme>> = vec![Vec::new()];
    while let Some(lexeme) = lexemes.get(*cursor) {
        let inside = open.is_some();
        match lexeme.token {
            Token::Comma | Token::Close if inside => return Ok(all),
            Token::Close => {
                return Err(Error::new(lexeme.start..lexeme.end, "`}` without a `{` before it")
                    .hint("write `\\}` for the character itself"));
            }
            Token::Open => {
                let choices = choices(lexemes, cursor)?;
                if all.len() * choices.len() > ALTERNATIVES_MAX {
                    let message =
                        format!("the braces make more than {ALTERNATIVES_MAX} alternatives");
                    return Err(Error::new(lexeme.start..lexeme.end, message)
                        .hint("write several patterns"));
                }
                all = all
                    .iter()
                    .flat_map(|head| choices.iter().map(|tail| [head.as_slice(), tail].concat()))
                    .collect();
                continue;
            }
            Token::Comma => {
                let byte = Lexeme { token: Token::Byte(b','), ..lexeme.clone() };
                all.iter_mut().for_each(|one| one.push(byte.clone()));
            }
            _ => all.iter_mut().for_each(|one| one.push(lexeme.clone())),
        }
        *cursor += 1;
    }
    match open.and_then(|at| lexemes.get(at)) {
        Some(brace) => Err(Error::new(brace.start..brace.end, "`{` without a `}` after it")
            .hint("write `\\{` for the character itself")),
        None => Ok(all),
    }
}

/// The alternatives of the brace at `cursor`, which is left behind the closing one.
fn choices(lexemes: &[Lexeme], cursor: &mut usize) -> Result<Vec<Vec<Lexeme>>, Error> {
    let open = *cursor;
    let mut all = Vec::new();
    let mut count = 0;
    loop {
        *cursor += 1;
        all.extend(sequence(lexemes, cursor, Some(open))?);
        count += 1;
        if all.len() > ALTERNATIVES_MAX {
            let at = &lexemes[open];
            let message = format!("the braces make more than {ALTERNATIVES_MAX} alternatives");
            return Err(Error::new(at.start..at.end, message).hint("write several patterns"));
        }
        let Some(end) = lexemes.get(*cursor) else {
            continue;
        };
        if end.token == Token::Close {
            *cursor += 1;
            if count > 1 {
                return Ok(all);
            }
            return Err(Error::new(
                lexemes[open].start..end.end,
                "braces with only one alternative",
            )
            .hint("write `\\{` and `\\}` for the characters themselves"));
        }
    }
}

/// Checks the components of one alternative and makes its elements.
fn glob(lexemes: &[Lexeme], names: Names, length: usize) -> Result<Glob, Error> {
    let mut components = components(lexemes, names, length)?;
    // `a/**/**/b` is `a/**/b`.
    components.dedup_by(|next, first| is_gap(next) && is_gap(first));
    let rooted = names == Names::Paths && components.first().is_some_and(|c| c.is_empty());
    let body = if rooted { &components[1..] } else { &components[..] };
    if rooted && body.len() == 1 && body[0].is_empty() {
        // The root directory has no component.
        let slash = vec![slash()];
        return Ok(Glob {
            floating: false,
            elems: slash.clone(),
            literal: Vec::new(),
            rest: slash,
        });
    }
    // `/**/name` and `**/name` say the same.
    let floating = names == Names::Paths && body.len() > 1 && is_gap(body[0]);
    let literal: Vec<Vec<u8>> = body
        .iter()
        .map_while(|component| component.iter().map(byte).collect())
        .take(if rooted { body.len() } else { 0 })
        .collect();
    let rest = elements(&body[literal.len()..], names, floating);
    let mut elems = literal_elems(&literal);
    elems.extend(rest.iter().cloned());
    Ok(Glob { floating, elems, literal, rest })
}

fn slash() -> Elem {
    Elem::Byte(ByteSet::one(b'/'))
}

fn is_gap(component: &[Lexeme]) -> bool {
    matches!(component, [Lexeme { token: Token::StarStar, .. }])
}

/// The byte that it stands for, if it is no wildcard.
fn byte(lexeme: &Lexeme) -> Option<u8> {
    match lexeme.token {
        Token::Byte(byte) => Some(byte),
        _ => None,
    }
}

/// The elements of an absolute path without wildcards.
pub(super) fn literal_elems(components: &[Vec<u8>]) -> Vec<Elem> {
    let slash = std::iter::once(&b'/');
    components
        .iter()
        .flat_map(|name| slash.clone().chain(name))
        .map(|byte| Elem::Byte(ByteSet::one(*byte)))
        .collect()
}

/// The pattern's components; of an absolute one the first is empty.
fn components(lexemes: &[Lexeme], names: Names, length: usize) -> Result<Vec<&[Lexeme]>, Error> {
    let all: Vec<&[Lexeme]> = lexemes.split(|l| l.token == Token::Slash).collect();
    let whole = 0..length;
    if lexemes.is_empty() {
        return Err(Error::new(whole, "the pattern is empty"));
    }
    for component in &all {
        double_star(component)?;
    }
    if names == Names::Abstract {
        return Ok(all);
    }
    let first = &all[0];
    let floating = first.len() == 1 && first[0].token == Token::StarStar;
    if !first.is_empty() && !floating {
        return Err(Error::new(whole, "a pattern begins with `/` or `**`")
            .hint("for example `${workspace}/src/**`, or `**/name` for a name anywhere"));
    }
    if first.is_empty() && all.len() == 2 && all[1].is_empty() {
        return Ok(all);
    }
    for (i, component) in all.iter().enumerate().skip(1) {
        let text: Vec<Option<u8>> = component.iter().map(byte).collect();
        let at = component
            .first()
            .map_or(whole.clone(), |l| l.start..component[component.len() - 1].end);
        if component.is_empty() && i + 1 == all.len() {
            return Err(Error::new(whole, "a pattern cannot end with `/`: no canonical path does")
                .hint("leave it out to mean the directory itself, or add `**` to mean it and all below it"));
        }
        if component.is_empty() {
            return Err(Error::new(
                whole,
                "the pattern has an empty component, as no canonical path has",
            )
            .hint("write a single `/`"));
        }
        if text == [Some(b'.')] || text == [Some(b'.'), Some(b'.')] {
            return Err(Error::new(at, "`.` and `..` are never part of a canonical path")
                .hint("write the path that is meant"));
        }
        if text.iter().flatten().count() > sensor_ebpf::limits::NAME_MAX {
            return Err(Error::new(at, "a name has at most 255 bytes, so this can never match"));
        }
    }
    Ok(all)
}

/// `**` must be a whole component.
fn double_star(component: &[Lexeme]) -> Result<(), Error> {
    match component.iter().find(|l| l.token == Token::StarStar) {
        Some(star) if component.len() > 1 => {
            Err(Error::new(star.start..star.end, "`**` must stand alone between slashes").hint(
                "write `*` for any part of one name, or `/**/` for any number of directories",
            ))
        }
        _ => Ok(()),
    }
}

/// The elements of the components after the literal ones.
fn elements(components: &[&[Lexeme]], names: Names, floating: bool) -> Vec<Elem> {
    if names == Names::Abstract && components.len() == 1 && is_gap(components[0]) {
        return vec![Elem::Any];
    }
    let mut elems = Vec::new();
    // A name without a root has no slash before its first component, and a gap takes the one
    // that is before the next.
    let mut bare = names == Names::Abstract;
    for (i, component) in components.iter().enumerate() {
        if is_gap(component) {
            if i + 1 == components.len() {
                elems.push(Elem::Below);
            } else if i == 0 && floating {
                elems.push(Elem::Any);
            } else {
                if !bare {
                    elems.push(slash());
                }
                elems.push(Elem::Gap);
                bare = true;
            }
            continue;
        }
        if !bare {
            elems.push(slash());
        }
        bare = false;
        elems.extend(component.iter().map(|lexeme| match &lexeme.token {
            Token::Byte(byte) => Elem::Byte(ByteSet::one(*byte)),
            Token::Char(set) if set.beyond.is_empty() => Elem::Byte(set.bytes),
            Token::Char(set) => Elem::Char(set.clone()),
            _ => Elem::Star,
        }));
    }
    elems
}
