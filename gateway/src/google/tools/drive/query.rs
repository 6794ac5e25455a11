//! Drive's query language: text of users made safe, expressions of users recognised. Pure.

/// Fields that an expression compares.
const FIELDS: [&str; 15] = [
    "name",
    "fullText",
    "mimeType",
    "modifiedTime",
    "viewedByMeTime",
    "createdTime",
    "sharedWithMeTime",
    "trashed",
    "starred",
    "sharedWithMe",
    "visibility",
    "properties",
    "appProperties",
    "memberCount",
    "shortcutDetails.targetId",
];
/// Lists that an expression looks in.
const COLLECTIONS: [&str; 4] = ["parents", "owners", "writers", "readers"];
const OPERATORS: [&str; 8] = ["contains", "=", "!=", "<", "<=", ">", ">=", "has"];
/// Stands for a string literal among the words of an expression. No word contains a quote.
const LITERAL: &str = "'";

/// The query for what a person or a model asked for: an expression as it is, anything else as words to
/// find. Never what lies in the bin.
pub(super) fn search(text: &str) -> String {
    if is_expression(text) {
        return format!("({text}) and trashed = false");
    }
    format!("fullText contains {} and trashed = false", literal(text))
}

/// The query for what lies in a folder.
pub(super) fn children(folder: &str) -> String {
    format!("{} in parents and trashed = false", literal(folder))
}

/// A string literal: quotes and backslashes are escaped with a backslash.
fn literal(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "\\'");
    format!("'{escaped}'")
}

/// Whether `text` has a complete comparison such as `name contains 'x'` or `'x' in parents`. Words that
/// merely sound like one ("name contains budget") have no literal and stay words.
fn is_expression(text: &str) -> bool {
    let Some(words) = words(text) else {
        return false;
    };
    words.windows(3).any(|window| match window {
        [left, operator, right] => {
            let value = [LITERAL, "true", "false"].contains(&right.as_str());
            (FIELDS.contains(&left.as_str()) && OPERATORS.contains(&operator.as_str()) && value)
                || (left == LITERAL && operator == "in" && COLLECTIONS.contains(&right.as_str()))
        }
        _ => false,
    })
}

/// Splits into words, operators and literals; `None` if a literal has no end or a parenthesis no
/// partner, so that an expression cannot reach beyond its parentheses.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = vec![String::new()];
    let mut open = 0_usize;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                skip_literal(&mut chars)?;
                words.extend([LITERAL.to_owned(), String::new()]);
            }
            '(' => {
                open += 1;
                words.push(String::new());
            }
            ')' => {
                open = open.checked_sub(1)?;
                words.push(String::new());
            }
            '=' | '!' | '<' | '>' => {
                let mut operator = c.to_string();
                operator.extend(chars.next_if_eq(&'='));
                words.extend([operator, String::new()]);
            }
            c if c.is_whitespace() => words.push(String::new()),
            c => words.last_mut()?.push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    (open == 0).then_some(words)
}

fn skip_literal(chars: &mut impl Iterator<Item = char>) -> Option<()> {
    loop {
        match chars.next()? {
            '\'' => return Some(()),
            '\\' => {
                chars.next()?;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn expressions_of_the_query_language_pass_through() {
        for expression in [
            "name contains 'budget'",
            "name='budget' or mimeType!='application/pdf'",
            "modifiedTime > '2026-01-01T00:00:00'",
            "'abc' in parents",
            "not 'ana@example.com' in owners and starred = true",
            "(sharedWithMe=true) and name contains 'it\\'s'",
        ] {
            assert_eq!(search(expression), format!("({expression}) and trashed = false"));
        }
    }

    #[test]
    fn anything_else_is_words_to_find() {
        for (words, literal) in [
            ("budget 2026", "'budget 2026'"),
            ("name contains budget", "'name contains budget'"),
            ("it's = 'unfinished", r"'it\'s = \'unfinished'"),
            (r"C:\temp", r"'C:\\temp'"),
            (
                r"\' or trashed = true or name contains '",
                r"'\\\' or trashed = true or name contains \''",
            ),
            (
                "name contains 'x') or (trashed = true",
                r"'name contains \'x\') or (trashed = true'",
            ),
        ] {
            assert_eq!(
                search(words),
                format!("fullText contains {literal} and trashed = false")
            );
        }
    }

    #[test]
    fn a_folder_is_a_literal_whatever_it_contains() {
        assert_eq!(children("root"), "'root' in parents and trashed = false");
        assert_eq!(
            children("x' or '1"),
            r"'x\' or \'1' in parents and trashed = false"
        );
    }

    proptest! {
        #[test]
        fn no_text_ends_its_literal_early(text in "[\\\\'a()=! ]{0,24}") {
            let literal = literal(&text);
            let mut rest = literal.chars();
            prop_assert_eq!(rest.next(), Some('\''));
            prop_assert!(skip_literal(&mut rest).is_some());
            prop_assert_eq!(rest.next(), None);
        }
    }
}
