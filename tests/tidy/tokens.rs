//! Splits a source into tokens, without comments, and leaves out what is compiled for tests alone.

/// A piece of code: an identifier, a number, a lifetime, a literal or one mark. `::` is one token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Token<'a> {
    /// Of a string or a character: its quotes only, so that no rule takes its words for code.
    pub(crate) text: &'a str,
    /// The same with what is in quotes, as in the file.
    pub(crate) source: &'a str,
    /// Counted from 1.
    pub(crate) line: usize,
}

impl Token<'_> {
    /// The text of a string, with its escapes. `None` if it is no string.
    pub(crate) fn string(&self) -> Option<&str> {
        self.source.strip_prefix('"')?.strip_suffix('"')
    }

    pub(crate) fn is_name(&self) -> bool {
        self.text.starts_with(is_letter)
    }
}

/// Returns the tokens of the production code of a file: everything but what `#[cfg(test)]`
/// precedes.
pub(crate) fn production(text: &str) -> Vec<Token<'_>> {
    without_tests(&tokens(text))
}

/// Returns all tokens.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let pieces = pieces(text).into_iter();
    let token = |(kind, text, line)| match kind {
        Piece::Token => Some(Token { text, source: text, line }),
        Piece::Literal => Some(Token { text: "\"\"", source: text, line }),
        Piece::Comment | Piece::Space => None,
    };
    pieces.filter_map(token).collect()
}

/// Splits a source into pieces, each with the number of the line that it begins in, from 1.
pub(crate) fn pieces(text: &str) -> Vec<(Piece, &str, usize)> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while !rest.is_empty() {
        let (kind, length) = first(rest);
        let (piece, after) = rest.split_at(length);
        pieces.push((kind, piece, line));
        line += piece.matches('\n').count();
        rest = after;
    }
    pieces
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Piece {
    Token,
    /// A string or a character, with its quotes.
    Literal,
    /// A comment, without its last newline.
    Comment,
    Space,
}

/// Returns what `text` begins with, and its length.
fn first(text: &str) -> (Piece, usize) {
    let mut letters = text.chars();
    let (letter, next) = (letters.next().unwrap_or(' '), letters.next().unwrap_or(' '));
    match (letter, next) {
        ('/', '/') => (Piece::Comment, text.find('\n').unwrap_or(text.len())),
        ('/', '*') => (Piece::Comment, text.find("*/").map_or(text.len(), |end| end + 2)),
        (':', ':') => (Piece::Token, 2),
        ('"', _) => (Piece::Literal, quoted(text, '"')),
        // `'a'` and `'\n'` are characters, `'a` alone is a lifetime.
        ('\'', '\\') => (Piece::Literal, quoted(text, '\'')),
        ('\'', _) if letters.next() == Some('\'') => (Piece::Literal, next.len_utf8() + 2),
        ('\'', _) => (Piece::Token, 1 + word(&text[1..])),
        _ if letter.is_whitespace() => (Piece::Space, letter.len_utf8()),
        _ if is_letter(letter) => prefixed(text),
        _ => (Piece::Token, letter.len_utf8()),
    }
}

/// A word, or a literal with a prefix such as `b"…"` or `r#"…"#`.
fn prefixed(text: &str) -> (Piece, usize) {
    let length = word(text);
    let (prefix, rest) = text.split_at(length);
    let marks = rest.len() - rest.trim_start_matches('#').len();
    match prefix {
        "r" | "br" | "cr" if rest[marks..].starts_with('"') => {
            let end = format!("\"{}", "#".repeat(marks));
            let start = length + marks + 1;
            let inside = text[start..].find(&end).expect("a raw string ends");
            (Piece::Literal, start + inside + end.len())
        }
        "b" | "c" if rest.starts_with('"') => (Piece::Literal, length + quoted(rest, '"')),
        "b" if rest.starts_with('\'') => (Piece::Literal, length + quoted(rest, '\'')),
        _ => (Piece::Token, length),
    }
}

/// The length of a literal that begins with `quote`, both quotes included.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = true; // the first quote does not end it
    for (at, letter) in text.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if letter == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn word(text: &str) -> usize {
    text.find(|letter| !is_letter(letter)).unwrap_or(text.len())
}

fn is_letter(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Leaves out every item, statement, field and method that `#[cfg(test)]` precedes.
fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    const TEST_ONLY: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut rest = tokens;
    while let Some((token, after)) = rest.split_first() {
        if starts_with(rest, &TEST_ONLY) {
            rest = &rest[TEST_ONLY.len()..];
            while starts_with(rest, &["#", "["]) {
                rest = &rest[1 + group(&rest[1..])..]; // a further attribute
            }
            rest = &rest[item(rest)..];
        } else {
            kept.push(*token);
            rest = after;
        }
    }
    kept
}

pub(crate) fn starts_with(tokens: &[Token<'_>], texts: &[&str]) -> bool {
    tokens.len() >= texts.len() && tokens.iter().zip(texts).all(|(token, text)| token.text == *text)
}

/// The number of tokens of an item: up to a semicolon, a body in braces, or the comma after a
/// field.
fn item(tokens: &[Token<'_>]) -> usize {
    const KEYWORDS: [&str; 9] =
        ["fn", "impl", "struct", "enum", "trait", "mod", "const", "static", "type"];
    let is_use = tokens.iter().take(6).any(|token| token.text == "use");
    let is_item = tokens.iter().take(6).any(|token| KEYWORDS.contains(&token.text));
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token.text {
            ";" => return at + 1,
            "," if !is_item && !is_use => return at + 1,
            "}" | ")" | "]" => return at, // the last field of its struct
            "{" if !is_use => return at + group(&tokens[at..]),
            "{" | "(" | "[" => at += group(&tokens[at..]),
            _ => at += 1,
        }
    }
    at
}

/// The number of tokens from an opening bracket to the one that closes it, both included.
pub(crate) fn group(tokens: &[Token<'_>]) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// The number of tokens from a `<` to the `>` that closes it, both included; 0 if there is no `<`.
pub(crate) fn generics(tokens: &[Token<'_>]) -> usize {
    let mut depth = 0;
    let mut before = "";
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "<" => depth += 1,
            ">" if before != "-" => depth -= 1, // not the arrow of `fn() -> T`
            _ => {}
        }
        if depth == 0 {
            return if at == 0 { 0 } else { at + 1 };
        }
        before = token.text;
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(tokens: &[Token<'_>]) -> String {
        tokens.iter().map(|token| token.text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_the_text_of_strings_are_no_code() {
        let text = r##"let a = "use b; // \" c"; // d
            /* e */ let f: &'g str = r#"h"i"#; ['j', '\'', b'"', b"k"]"##;
        let found = tokens(text);
        let expected = r#"let a = "" ; let f : & 'g str = "" ; [ "" , "" , "" , "" ]"#;
        assert_eq!(shown(&found), expected);
        assert_eq!((found[0].line, found[5].line), (1, 2));
    }

    #[test]
    fn what_is_for_tests_alone_is_cut() {
        let text = "#[cfg(test)] mod a; #[cfg(test)] #[allow(b)] pub(crate) mod c { mod d { } } e
            #[cfg(test)] use f::{g, h}; #[cfg(test)] fn i<J, K>(l: M) { n; } o
            p { #[cfg(test)] q: R<S>, t: U, #[cfg(test)] last: V } #[cfg(not(test))] w";
        assert_eq!(shown(&production(text)), "e o p { t : U , } # [ cfg ( not ( test ) ) ] w");
    }
}
