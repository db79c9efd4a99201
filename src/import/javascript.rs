//! Reads an object of JavaScript, or JSON, which is a part of it. Pure.
//!
//! Keys may have no quotes, strings may have single ones, and commas may trail or lead. A value
//! that is an expression, such as `process.env.HOST`, is kept as its text.

use super::syntax::{ParsedData, ParsedValue, Scan, SyntaxFlaw};

/// Reads a file that is one object, perhaps assigned to `module.exports`, or what a function
/// returns: `(function () { return { … }; })()`.
pub(super) fn read(text: &str) -> Result<ParsedValue, SyntaxFlaw> {
    let mut scan = Scan::new(text);
    pass_over_space(&mut scan)?;
    let _ = scan.eat("module.");
    if scan.eat("exports") {
        pass_over_space(&mut scan)?;
        if !scan.eat("=") {
            return Err(scan.unexpected("= after exports"));
        }
        pass_over_space(&mut scan)?;
    }
    let has_bracket = scan.eat("(");
    pass_over_space(&mut scan)?;
    let is_returned = has_bracket && scan.rest().starts_with("function");
    if is_returned {
        const RETURN: &str = "return";
        let Some(at) = scan.rest().find(RETURN) else {
            return Err(scan.unexpected("a function that returns an object"));
        };
        scan.skip(at + RETURN.len());
        pass_over_space(&mut scan)?;
    }
    if scan.peek() != Some('{') {
        return Err(scan.unexpected("the { of an object"));
    }
    let object = value(&mut scan)?;
    if is_returned {
        return Ok(object);
    }
    pass_over_space(&mut scan)?;
    if has_bracket && !scan.eat(")") {
        return Err(scan.unexpected(") after the object"));
    }
    while scan.eat(";") {
        pass_over_space(&mut scan)?;
    }
    pass_over_space(&mut scan)?;
    if scan.peek().is_some() {
        return Err(scan.unexpected("nothing after the object"));
    }
    Ok(object)
}

/// Passes over white space and comments.
fn pass_over_space(scan: &mut Scan<'_>) -> Result<(), SyntaxFlaw> {
    loop {
        scan.while_is(char::is_whitespace);
        if scan.eat("//") || scan.eat("#!") {
            scan.while_is(|next| next != '\n');
        } else if scan.rest().starts_with("/*") {
            match scan.rest().find("*/") {
                Some(end) => scan.skip(end + 2),
                None => return Err(scan.flaw("expected the comment to end with */")),
            }
        } else {
            return Ok(());
        }
    }
}

fn value(scan: &mut Scan<'_>) -> Result<ParsedValue, SyntaxFlaw> {
    scan.count()?;
    let line = scan.line();
    let data = match scan.peek() {
        Some('{') => object(scan)?,
        Some('[') => list(scan)?,
        _ => {
            let start = scan.rest();
            let text = scalar(scan)?;
            let after = expression_end(scan, text.is_none())?;
            match (text, after) {
                (Some(text), false) => ParsedData::Text(text),
                _ => {
                    let code = start[..start.len() - scan.rest().len()].trim_end();
                    product(code).map_or_else(|| ParsedData::Code(code.into()), ParsedData::Text)
                }
            }
        }
    };
    Ok(ParsedValue { line, data })
}

fn object(scan: &mut Scan<'_>) -> Result<ParsedData, SyntaxFlaw> {
    let mut entries = Vec::new();
    items(scan, '}', |scan| {
        let key = match scan.peek() {
            Some(quote @ ('"' | '\'')) => {
                scan.skip(1);
                scan.string(quote, true)?
            }
            _ => scan.while_is(is_word).into(),
        };
        if key.is_empty() {
            return Err(scan.unexpected("a key or the } of the object"));
        }
        pass_over_space(scan)?;
        if !scan.eat(":") {
            return Err(scan.unexpected(&format!("a : after the key {key:?}")));
        }
        pass_over_space(scan)?;
        entries.push((key, value(scan)?));
        Ok(())
    })?;
    Ok(ParsedData::Map(entries))
}

fn list(scan: &mut Scan<'_>) -> Result<ParsedData, SyntaxFlaw> {
    let mut values = Vec::new();
    items(scan, ']', |scan| {
        values.push(value(scan)?);
        Ok(())
    })?;
    Ok(ParsedData::List(values))
}

/// Reads what is between two brackets. `item` reads one item.
fn items(
    scan: &mut Scan<'_>,
    close: char,
    mut item: impl FnMut(&mut Scan<'_>) -> Result<(), SyntaxFlaw>,
) -> Result<(), SyntaxFlaw> {
    let start = scan.line();
    scan.begin_level()?;
    scan.skip(1);
    loop {
        pass_over_space(scan)?;
        match scan.peek() {
            None => {
                let what = format!("expected the {close} that ends what begins here");
                return Err(SyntaxFlaw { line: start, what });
            }
            Some(next) if next == close => {
                scan.skip(1);
                scan.end_level();
                return Ok(());
            }
            _ => item(scan)?,
        }
        pass_over_space(scan)?;
        if !scan.eat(",") && scan.peek().is_some_and(|next| next != close) {
            return Err(scan.unexpected(&format!("a comma or {close}")));
        }
    }
}

/// Reads a string, a number or a word such as `true`. Returns `None` if something else comes next.
fn scalar(scan: &mut Scan<'_>) -> Result<Option<String>, SyntaxFlaw> {
    Ok(match scan.peek() {
        Some(quote @ ('"' | '\'')) => {
            scan.skip(1);
            Some(scan.string(quote, true)?)
        }
        Some('`') => {
            scan.skip(1);
            Some(scan.string('`', true)?).filter(|text| !text.contains("${"))
        }
        Some(digit) if digit.is_ascii_digit() || "-+.".contains(digit) => {
            let number = scan.while_is(|next| next.is_ascii_alphanumeric() || "-+.".contains(next));
            match number.strip_prefix("0o") {
                Some(octal) => Some(format!("0{octal}")),
                None => number.parse::<f64>().ok().map(|_| number.trim_start_matches('+').into()),
            }
        }
        _ => match scan.while_is(is_word) {
            word @ ("true" | "false" | "null" | "undefined") => Some(word.into()),
            _ => None,
        },
    })
}

/// Returns the value of a product of numbers, such as `60 * 1000`.
fn product(code: &str) -> Option<String> {
    let mut product = 1.0;
    for factor in code.split('*') {
        product *= factor.trim().parse::<f64>().ok()?;
    }
    product.is_finite().then(|| product.to_string())
}

/// Passes over the rest of an expression. Returns whether there is one. `has_code` is true if it
/// has begun already.
fn expression_end(scan: &mut Scan<'_>, mut has_code: bool) -> Result<bool, SyntaxFlaw> {
    let start = scan.line();
    let mut open = 0_usize;
    loop {
        pass_over_space(scan)?;
        match scan.peek() {
            None if open > 0 => {
                let what = "expected the expression that begins here to end".into();
                return Err(SyntaxFlaw { line: start, what });
            }
            None | Some(',' | '}' | ']' | ')') if open == 0 => return Ok(has_code),
            // Two values without a comma between them: the comma is missing, this is no expression.
            Some('"' | '\'' | '{') if !has_code => return Ok(false),
            Some(next) if !has_code && is_word(next) => return Ok(false),
            Some(quote @ ('"' | '\'' | '`')) => {
                scan.skip(1);
                scan.string(quote, true)?;
            }
            Some('(' | '[' | '{') => {
                open += 1;
                scan.skip(1);
            }
            Some(')' | ']' | '}') => {
                open = open.saturating_sub(1);
                scan.skip(1);
            }
            _ => _ = scan.next(),
        }
        has_code = true;
    }
}

fn is_word(next: char) -> bool {
    next.is_alphanumeric() || next == '_' || next == '$'
}
