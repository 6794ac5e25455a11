//! A text file, and for Rust the little that must be understood of it: what is code, and which paths it uses.

use std::iter::Peekable;

/// A file of the repository.
#[derive(Debug)]
pub(super) struct Source {
    /// Relative to the checkout, with `/`.
    pub(super) path: String,
    /// The whole file.
    pub(super) text: String,
}

/// A path such as `crate::store::Store`, where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PathUse {
    /// From 1.
    pub(super) line: usize,
    /// Its parts; a group in braces has become several paths.
    pub(super) segments: Vec<String>,
}

impl Source {
    pub(super) fn new(path: &str, text: String) -> Self {
        Self {
            path: path.to_owned(),
            text,
        }
    }

    /// Whether the name ends in a dot and `extension`.
    pub(super) fn has_extension(&self, extension: &str) -> bool {
        self.path
            .rsplit_once('.')
            .is_some_and(|(_, found)| found == extension)
    }

    /// The last part of the path.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Test code by its place: `tests.rs`, `x.test.mjs`, or anything below a directory `tests`.
    pub(super) fn is_test(&self) -> bool {
        let directory = self.path.strip_suffix(self.name()).unwrap_or_default();
        let in_tests = directory.split('/').any(|part| part == "tests");
        in_tests || self.name() == "tests.rs" || self.name().contains(".test.")
    }

    /// Whether the file declares `mod name;`, and does so under `#[cfg(test)]` only.
    pub(super) fn declares_for_tests(&self, name: &str) -> bool {
        let everything = without_literals(&self.text);
        declares(&everything, name) && !declares(&without_tests(&everything), name)
    }

    /// The code with comments, literals and inline tests blanked out; every line stays where it is.
    pub(super) fn code(&self) -> String {
        without_tests(&without_literals(&self.text))
    }

    /// Every path in the code.
    pub(super) fn paths(&self) -> Vec<PathUse> {
        paths(&self.code())
    }
}

/// Replaces comments and the content of literals with spaces.
pub(super) fn without_literals(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = out.chars().next_back().is_some_and(is_word);
        let length = blank_length(rest, after_word);
        if length == 0 {
            out.push(first);
            rest = rest.split_at(first.len_utf8()).1;
        } else {
            let (blanked, tail) = rest.split_at(length);
            out.extend(blanked.chars().map(blank));
            rest = tail;
        }
    }
    out
}

/// How many bytes at the start of `rest` are a comment or a literal.
fn blank_length(rest: &str, after_word: bool) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment_length(rest);
    }
    if rest.starts_with('"') {
        return quoted_length(rest, '"');
    }
    if rest.starts_with('\'') {
        return char_length(rest);
    }
    if after_word {
        0
    } else {
        raw_string_length(rest).unwrap_or(0)
    }
}

/// Block comments nest.
fn block_comment_length(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut previous = ' ';
    for (at, c) in rest.char_indices() {
        match (previous, c) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth = depth.saturating_sub(1),
            _ => {
                previous = c;
                continue;
            }
        }
        if depth == 0 {
            return at + 1;
        }
        previous = ' ';
    }
    rest.len()
}

/// From one quote to the next that is not escaped.
fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + 1;
        }
    }
    rest.len()
}

/// A character literal, or nothing where the quote begins a lifetime.
fn char_length(rest: &str) -> usize {
    let mut chars = rest.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted_length(rest, '\''),
        _ => 0,
    }
}

/// `r"…"`, `r#"…"#`, `br"…"`, `cr"…"`.
fn raw_string_length(rest: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
        rest.strip_prefix(prefix)
            .is_some_and(|tail| tail.trim_start_matches('#').starts_with('"'))
    })?;
    let tail = rest.strip_prefix(prefix)?;
    let hashes = tail.len() - tail.trim_start_matches('#').len();
    let open = prefix.len() + hashes + 1;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = rest
        .get(open..)?
        .find(&close)
        .map_or(rest.len(), |at| open + at + close.len());
    Some(end)
}

/// Blanks every item under `#[cfg(test)]`: up to the end of its block, or its semicolon.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some((before, item)) = rest.split_once(MARK) {
        let (test, after) = item.split_at(item_length(item));
        out.push_str(before);
        out.extend(MARK.chars().chain(test.chars()).map(blank));
        rest = after;
    }
    out + rest
}

fn item_length(item: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in item.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => return at + 1,
            _ => continue,
        }
        if c == '}' && depth == 0 {
            return at + 1;
        }
    }
    item.len()
}

/// Whether blanked code has `mod name;`.
fn declares(code: &str, name: &str) -> bool {
    let declaration = [
        Token::Word("mod".to_owned()),
        Token::Word(name.to_owned()),
        Token::Sign(';'),
    ];
    let tokens: Vec<Token> = tokens(code).into_iter().map(|(_, token)| token).collect();
    tokens
        .windows(declaration.len())
        .any(|window| window == declaration)
}

fn blank(c: char) -> char {
    if c == '\n' { '\n' } else { ' ' }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Separator,
    Sign(char),
}

/// Every path of two parts or more, and every single word, of blanked code.
fn paths(code: &str) -> Vec<PathUse> {
    let tokens = tokens(code);
    let mut rest = tokens.into_iter().peekable();
    let mut found = Vec::new();
    while let Some((_, token)) = rest.peek() {
        if matches!(token, Token::Word(_)) {
            path_tree(&mut rest, Vec::new(), &mut found);
        } else {
            rest.next();
        }
    }
    found
}

/// One path from here on, or all those of a group in braces.
fn path_tree(
    rest: &mut Peekable<impl Iterator<Item = (usize, Token)>>,
    mut segments: Vec<String>,
    found: &mut Vec<PathUse>,
) {
    while let Some((line, Token::Word(word))) = rest.next_if(|(_, token)| matches!(token, Token::Word(_))) {
        segments.push(word);
        if rest.next_if(|(_, token)| *token == Token::Separator).is_none() {
            found.push(PathUse { line, segments });
            return;
        }
    }
    if rest.next_if(|(_, token)| *token == Token::Sign('{')).is_none() {
        // `path::*` and `path::<T>`: the path ends before the sign.
        if let Some((line, _)) = rest.peek() {
            found.push(PathUse {
                line: *line,
                segments,
            });
        }
        return;
    }
    loop {
        match rest.peek() {
            None => return,
            Some((_, Token::Sign('}'))) => {
                rest.next();
                return;
            }
            Some((_, Token::Word(word))) if word == "as" => {
                rest.next();
                rest.next();
            }
            Some((_, Token::Word(_))) => path_tree(rest, segments.clone(), found),
            Some(_) => {
                rest.next();
            }
        }
    }
}

fn tokens(code: &str) -> Vec<(usize, Token)> {
    let mut tokens = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            let token = if is_word(c) {
                let mut word = String::from(c);
                while let Some(next) = chars.next_if(|next| is_word(*next)) {
                    word.push(next);
                }
                Token::Word(word)
            } else if c == ':' && chars.next_if_eq(&':').is_some() {
                Token::Separator
            } else if c.is_whitespace() {
                continue;
            } else {
                Token::Sign(c)
            };
            tokens.push((number + 1, token));
        }
    }
    tokens
}

#[cfg(test)]
mod tests;
